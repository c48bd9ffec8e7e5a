"""What SMI says of itself as a whole: which APIs there are, and what it means to provide them.

Source: SMI v0.6.0, `SPEC_LATEST_STABLE.md` and the README. These rows frame the others and are observed, not judged.
"""

from __future__ import annotations

from conformance.requirement import requirement
from conformance.smi import DEFINITIONS, compatibility

V1 = ("v1",)


@requirement(
    "GEN-001", level="B", versions=V1, api=DEFINITIONS, spec="Overview",
    unjudged="what the CRD and METRIC rows judge one by one",
)
def test_api_surface(apis, observe):
    """The APIs are custom resources and one extension API server, handled with the usual tools of Kubernetes."""
    observe("; ".join(f"{group}: {', '.join(versions)}" for group, versions in sorted(apis.served.items())))


@requirement(
    "GEN-002", level="B", versions=V1, api=DEFINITIONS, spec="Overview: provider",
    unjudged="it binds the authors of tests: every other row judges effects, never the presence of a CRD",
)
def test_presence_is_not_capability(mesh, apis, observe):
    """The APIs do nothing by themselves: that a resource is served says nothing of what a mesh does."""
    claimed = [f"{group}/{version}" for group, versions in sorted(apis.served.items()) for version in versions
               if mesh.claims(group, version)]
    observe(f"served and claimed: {', '.join(claimed)}")


@requirement(
    "GEN-003", level="B", versions=V1, api=DEFINITIONS, spec="Overview: provider",
    unjudged="judged where it shows: SPLIT-011, SPLIT-012 and TARGET-016 change and delete objects",
)
def test_provider_reflects_the_resources(mesh, observe):
    """The mesh follows the contents of the resources: what is created, changed or deleted comes into effect."""
    observe(f"the mesh promises that a change is in effect within {mesh.convergence:g} s")


@requirement("GEN-004", level="O", versions=V1, api=DEFINITIONS, spec="Overview: extensions")
def test_extensions_are_allowed(apis, observe):
    """A mesh may have extensions of its own: versions or behaviour beyond the specification are no failure."""
    unknown = [f"{group}/{version}" for group in apis.served for version in apis.unknown(group)]
    observe(f"served versions that no release of SMI has: {', '.join(unknown) or 'none'}")


@requirement("GEN-005", level="N", versions=V1, api=DEFINITIONS, spec="Compatible with")
def test_versions_are_compatible(apis, observe):
    """Which versions of the groups belong together is said at the head of each version."""
    observe(compatibility(apis))


@requirement(
    "GEN-006", level="B", versions=V1, api=DEFINITIONS, spec="Versioning",
    unjudged="it binds reports: verdicts are per group and version, and there is no single SMI version",
)
def test_groups_have_versions_of_their_own(apis, observe):
    """Each API group has versions that evolve independently of the others."""
    observe("; ".join(f"{group} is judged as {apis.version(group)}" for group in sorted(apis.served)))
