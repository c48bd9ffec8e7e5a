"""Who may ask: bearer tokens. Whoever has one may do everything; RBAC is stored, not enforced."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

ADMIN = "sandbox-admin"


@dataclass(frozen=True, slots=True)
class User:
    """Whom a token stands for."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""


class Tokens:
    """The tokens that the API server accepts: the administrator's, and those issued for service accounts."""

    def __init__(self) -> None:
        self.admin = secrets.token_urlsafe(32)
        self._users: dict[str, User] = {self.admin: User(ADMIN, ("system:masters", "system:authenticated"))}
        self._issued: dict[tuple[str, str], str] = {}

    def authenticate(self, authorization: str) -> User | None:
        """The user behind an Authorization header; None when there is none."""
        scheme, _, token = authorization.partition(" ")
        return self._users.get(token.strip()) if scheme.lower() == "bearer" else None

    def review(self, token: str) -> User | None:
        """The user behind a token; None when it is unknown."""
        return self._users.get(token)

    def issue(self, namespace: str, name: str, uid: str = "") -> str:
        """The token of a service account, the same each time."""
        token = self._issued.get((namespace, name))
        if token is None:
            token = self._issued[namespace, name] = secrets.token_urlsafe(32)
            groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
            self._users[token] = User(f"system:serviceaccount:{namespace}:{name}", groups, uid)
        return token
