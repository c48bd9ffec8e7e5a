"""RBAC rules: what one allows, and what makes one invalid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from conformance.sandbox.apiserver.errors import Cause, forbidden_value, invalid_value, required, unsupported_value

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.attributes import Attributes
    from conformance.sandbox.apiserver.objects import JSON

GROUP = "rbac.authorization.k8s.io"
_SUBJECTS = ("ServiceAccount", "User", "Group")


@dataclass(frozen=True, slots=True)
class Rule:
    """One PolicyRule."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    names: frozenset[str]
    paths: tuple[str, ...]

    @classmethod
    def of(cls, rule: JSON) -> Rule:
        """Read a rule of a role; what is missing is empty."""
        verbs, groups, resources, names = (
            frozenset(rule.get(field) or ()) for field in ("verbs", "apiGroups", "resources", "resourceNames")
        )
        return cls(verbs, groups, resources, names, tuple(rule.get("nonResourceURLs") or ()))

    def allows(self, wish: Attributes) -> bool:
        """Whether this rule alone is enough."""
        if not _has(self.verbs, wish.verb):
            return False
        if not wish.resource:
            return any(_covers(pattern, wish.path) for pattern in self.paths)
        return (
            _has(self.groups, wish.group)
            and self._has_resource(wish)
            and (not self.names or wish.name in self.names)
        )

    def _has_resource(self, wish: Attributes) -> bool:
        # A bare "pods" does not speak for pods/log, but "*" speaks for everything.
        if _has(self.resources, wish.full_resource):
            return True
        return bool(wish.subresource) and f"*/{wish.subresource}" in self.resources


def _has(allowed: frozenset[str], value: str) -> bool:
    return value in allowed or "*" in allowed


def _covers(pattern: str, path: str) -> bool:
    if pattern.endswith("*"):
        return path.startswith(pattern.rstrip("*"))
    return pattern == path


def role(obj: JSON, old: JSON | None) -> list[Cause]:
    """What makes a Role invalid."""
    del old
    return _rules(obj, namespaced=True)


def cluster_role(obj: JSON, old: JSON | None) -> list[Cause]:
    """What makes a ClusterRole invalid."""
    del old
    found = _rules(obj, namespaced=False)
    if obj.get("aggregationRule") is not None and not obj["aggregationRule"].get("clusterRoleSelectors"):
        why = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        found.append(required("aggregationRule.clusterRoleSelectors", why))
    return found


def _rules(obj: JSON, *, namespaced: bool) -> list[Cause]:
    return [cause for index, rule in enumerate(obj.get("rules") or [])
            for cause in _rule(rule, f"rules[{index}]", namespaced=namespaced)]  # fmt: skip


def _rule(rule: JSON, at: str, *, namespaced: bool) -> list[Cause]:
    found: list[Cause] = []
    if not rule.get("verbs"):
        found.append(required(f"{at}.verbs", "verbs must contain at least one value"))
    paths = rule.get("nonResourceURLs")
    if paths:
        if namespaced:
            why = "namespaced rules cannot apply to non-resource URLs"
            found.append(invalid_value(f"{at}.nonResourceURLs", paths, why))
        if any(rule.get(field) for field in ("apiGroups", "resources", "resourceNames")):
            why = "rules cannot apply to both regular resources and non-resource URLs"
            found.append(invalid_value(f"{at}.nonResourceURLs", paths, why))
        return found
    if not rule.get("apiGroups"):
        found.append(required(f"{at}.apiGroups", "resource rules must supply at least one api group"))
    if not rule.get("resources"):
        found.append(required(f"{at}.resources", "resource rules must supply at least one resource"))
    return found


def role_binding(obj: JSON, old: JSON | None) -> list[Cause]:
    """What makes a RoleBinding invalid."""
    return _binding(obj, old, ("Role", "ClusterRole"))


def cluster_role_binding(obj: JSON, old: JSON | None) -> list[Cause]:
    """What makes a ClusterRoleBinding invalid."""
    return _binding(obj, old, ("ClusterRole",))


def _binding(obj: JSON, old: JSON | None, kinds: tuple[str, ...]) -> list[Cause]:
    reference = obj.get("roleRef") or {}
    found: list[Cause] = []
    if reference.get("apiGroup") != GROUP:
        found.append(unsupported_value("roleRef.apiGroup", reference.get("apiGroup", ""), (GROUP,)))
    if reference.get("kind") not in kinds:
        found.append(unsupported_value("roleRef.kind", reference.get("kind", ""), kinds))
    if not reference.get("name"):
        found.append(required("roleRef.name"))
    if old is not None and old.get("roleRef") != reference:
        found.append(invalid_value("roleRef", reference, "cannot change roleRef"))
    for index, subject in enumerate(obj.get("subjects") or []):
        found += _subject(subject, f"subjects[{index}]")
    return found


def _subject(subject: JSON, at: str) -> list[Cause]:
    found: list[Cause] = []
    if not subject.get("name"):
        found.append(required(f"{at}.name"))
    kind = subject.get("kind")
    if kind not in _SUBJECTS:
        found.append(unsupported_value(f"{at}.kind", kind or "", _SUBJECTS))
    elif kind == "ServiceAccount":
        if not subject.get("namespace"):
            found.append(required(f"{at}.namespace"))
        if subject.get("apiGroup"):
            found.append(unsupported_value(f"{at}.apiGroup", subject["apiGroup"], ("",)))
    elif subject.get("namespace"):
        found.append(forbidden_value(f"{at}.namespace", f"a {kind} is in no namespace"))
    return found
