"""Who may do what: RBAC as on a cluster.

Privilege escalation is not looked for: whoever may write roles and bindings may give away more than is theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from conformance.sandbox.apiserver.access import MASTERS, account_of
from conformance.sandbox.apiserver.errors import ApiError
from conformance.sandbox.apiserver.objects import JSON, name_of
from conformance.sandbox.apiserver.resources import CLUSTER_ROLE_BINDINGS, CLUSTER_ROLES, ROLE_BINDINGS, ROLES
from conformance.sandbox.apiserver.rules import GROUP, Rule

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.access import User
    from conformance.sandbox.apiserver.attributes import Attributes
    from conformance.sandbox.apiserver.store import Store
    from conformance.sandbox.apiserver.watching import Change

_MOST_DECISIONS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something is allowed, and why, in the words that reviews give; `why` may be empty for a refusal."""

    allowed: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """The rules that one binding gives to a user; `why` names the binding."""

    rules: tuple[tuple[Rule, JSON], ...]
    why: str


@dataclass(frozen=True, slots=True)
class _Granted:
    """All that a user has in a namespace, and the bindings there whose role does not exist."""

    grants: tuple[Grant, ...]
    missing: tuple[str, ...]

    def decide(self, wish: Attributes) -> Decision:
        for grant in self.grants:
            if any(rule.allows(wish) for rule, _ in grant.rules):
                return Decision(allowed=True, why=grant.why)
        if not self.missing:
            return Decision(allowed=False)
        listed = self.missing[0] if len(self.missing) == 1 else "[" + ", ".join(self.missing) + "]"
        return Decision(allowed=False, why=f"RBAC: {listed}")


class Authorizer:
    """Decides by the roles and bindings of the store; an observer of it, which forgets its answers when one changes."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._granted: dict[tuple[str, tuple[str, ...], str], _Granted] = {}
        self._decisions: dict[tuple[str, tuple[str, ...], Attributes], Decision] = {}

    def observe(self, change: Change) -> None:
        """Follow one change of the store."""
        if change.resource.group == GROUP:
            self._granted.clear()
            self._decisions.clear()

    def decide(self, user: User, wish: Attributes) -> Decision:
        """Whether the user may do it."""
        if MASTERS in user.groups:
            return Decision(allowed=True)
        place = (user.name, user.groups, wish)
        decision = self._decisions.get(place)
        if decision is None:
            if len(self._decisions) >= _MOST_DECISIONS:
                self._decisions.clear()
            decision = self._decisions[place] = self._of(user, wish.namespace).decide(wish)
        return decision

    def require(self, user: User, wish: Attributes) -> None:
        """Raise ApiError 403 when the user may not do it."""
        decision = self.decide(user, wish)
        if not decision.allowed:
            raise refusal(user, wish, decision.why)

    def grants(self, user: User, namespace: str) -> tuple[Grant, ...]:
        """What the user has in a namespace, of the whole cluster and of the namespace itself."""
        return self._of(user, namespace).grants

    def _of(self, user: User, namespace: str) -> _Granted:
        place = (user.name, user.groups, namespace)
        if place not in self._granted:
            found = list(self._bound(user, namespace))
            grants = tuple(item for item in found if isinstance(item, Grant))
            missing = tuple(item for item in found if isinstance(item, str))
            self._granted[place] = _Granted(grants, missing)
        return self._granted[place]

    def _bound(self, user: User, namespace: str) -> Iterator[Grant | str]:
        bindings = [("", binding) for binding in self._store.select(CLUSTER_ROLE_BINDINGS)]
        if namespace:
            bindings += [(namespace, binding) for binding in self._store.select(ROLE_BINDINGS, namespace)]
        for where, binding in bindings:
            subject = _subject(user, binding.get("subjects") or (), where)
            if subject:
                yield self._grant(binding, where, subject)

    def _grant(self, binding: JSON, namespace: str, subject: str) -> Grant | str:
        """What a binding gives, or in words that its role is missing."""
        kind, name = binding["roleRef"].get("kind"), str(binding["roleRef"].get("name"))
        resource = ROLES if kind == "Role" else CLUSTER_ROLES
        try:
            role = self._store.read(resource, name, namespace if kind == "Role" else "")
        except ApiError:
            return f'{resource.singular}.{GROUP} "{name}" not found'
        rules = tuple((Rule.of(rule), rule) for rule in role.get("rules") or ())
        bound, at = ("RoleBinding", f"/{namespace}") if namespace else ("ClusterRoleBinding", "")
        return Grant(rules, f'RBAC: allowed by {bound} "{name_of(binding)}{at}" of {kind} "{name}" to {subject}')


def _subject(user: User, subjects: Iterable[JSON], namespace: str) -> str:
    """The subject that means the user, in words; empty when none does."""
    for subject in subjects:
        name = str(subject.get("name"))
        match subject.get("kind"):
            case "User" if name == user.name:
                return f'User "{name}"'
            case "Group" if name in user.groups:
                return f'Group "{name}"'
            case "ServiceAccount":
                place = str(subject.get("namespace") or namespace)
                if account_of(user.name) == (place, name):
                    return f'ServiceAccount "{name}/{place}"'
    return ""


def refusal(user: User, wish: Attributes, why: str = "") -> ApiError:
    """ApiError 403, in the words of the Kubernetes API server, for people search for them."""
    if not wish.resource:
        text = f'forbidden: User "{user.name}" cannot {wish.verb} path "{wish.path}"'
        return ApiError(403, "Forbidden", _because(text, why))
    where = f'in the namespace "{wish.namespace}"' if wish.namespace else "at the cluster scope"
    text = f'User "{user.name}" cannot {wish.verb} resource "{wish.full_resource}" in API group "{wish.group}" {where}'
    resource = f"{wish.resource}.{wish.group}" if wish.group else wish.resource
    name = f' "{wish.name}"' if wish.name else ""
    details = {"name": wish.name, "group": wish.group, "kind": wish.resource}
    return ApiError(
        403, "Forbidden", _because(f"{resource}{name} is forbidden: {text}", why),
        details={key: value for key, value in details.items() if value},
    )


def _because(message: str, why: str) -> str:
    return f"{message}: {why}" if why else message
