"""Jobs: what the API server fills in, and what it refuses; for the controller see `controllers/job.py`."""

from __future__ import annotations

from typing import Final

from conformance.sandbox.apiserver.defaults import fill, pod_spec
from conformance.sandbox.apiserver.errors import Cause, forbidden_value, invalid_value, required, unsupported_value
from conformance.sandbox.apiserver.objects import JSON, name_of, uid_of
from conformance.sandbox.apiserver.validation import pod_spec as pod_spec_problems

INDEXED: Final = "Indexed"
MODES: Final = (INDEXED, "NonIndexed")
UID: Final = "batch.kubernetes.io/controller-uid"
_FIXED: Final = ("completions", "completionMode", "selector", "template")
"""What of a Job cannot be changed (`completions` of an Indexed Job could, with `parallelism`)."""
_MISSING: Final = ("activeDeadlineSeconds", "backoffLimitPerIndex", "maxFailedIndexes", "managedBy", "podFailurePolicy",
                   "successPolicy", "ttlSecondsAfterFinished")
"""What Kubernetes does for Jobs and the sandbox does not: refused, so that nobody relies on it."""


def defaults(obj: JSON, old: JSON | None) -> None:
    """Fill in what is missing: one completion, and the labels by which pods are a Job's own."""
    spec = obj.setdefault("spec", {})
    if spec.get("completions") is None and spec.get("parallelism") is None:
        fill(spec, completions=1)
    fill(spec, parallelism=1, backoffLimit=6, completionMode="NonIndexed", suspend=False,
         podReplacementPolicy="TerminatingOrFailed", manualSelector=False)
    fill(spec, selector={"matchLabels": {UID: uid_of(obj)}})
    template = spec.get("template")
    if template:
        own = {UID: uid_of(obj), "batch.kubernetes.io/job-name": name_of(obj), "controller-uid": uid_of(obj),
               "job-name": name_of(obj)}
        labels = template.setdefault("metadata", {}).setdefault("labels", {})
        fill(labels, **own)
        pod_spec(template.setdefault("spec", {}))
    if old is None:
        obj["status"] = {}


def problems(obj: JSON, old: JSON | None) -> list[Cause]:
    """Say what is wrong with a Job, or what of it the sandbox does not do."""
    spec = obj["spec"]
    found: list[Cause] = []
    for field in ("completions", "parallelism", "backoffLimit"):
        value = spec.get(field)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
            raise TypeError(f"spec.{field} must be an integer, found {value!r}")
        if value is not None and value < 0:
            found.append(invalid_value(f"spec.{field}", value, "must be greater than or equal to 0"))
    if spec.get("completions") is None:
        found.append(required("spec.completions"))  # a queue of work: Kubernetes has it, the sandbox does not
    if spec["completionMode"] not in MODES:
        found.append(unsupported_value("spec.completionMode", spec["completionMode"], MODES))
    asked = [field for field in _MISSING if spec.get(field)]
    found += [forbidden_value(f"spec.{field}", "the sandbox has no such thing") for field in asked]
    template = spec.get("template") or {}
    found += pod_spec_problems(template.get("spec") or {"restartPolicy": "Never"}, "spec.template.spec")
    policy = (template.get("spec") or {}).get("restartPolicy", "Never")
    if policy != "Never":
        found.append(unsupported_value("spec.template.spec.restartPolicy", policy, ("Never",)))
    for field in _FIXED:
        if old is not None and old["spec"].get(field) != spec.get(field):
            found.append(invalid_value(f"spec.{field}", spec.get(field), "field is immutable"))
    return found
