"""Who asks: bearer tokens, and the users that they stand for. What a user may do, `rbac` decides."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

ADMIN: Final = "sandbox-admin"
MASTERS: Final = "system:masters"
AUTHENTICATED: Final = "system:authenticated"
_ACCOUNTS: Final = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class User:
    """Whom a token stands for."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""


ANONYMOUS: Final = User("system:anonymous", ("system:unauthenticated",))
"""Who brings no token."""


@dataclass(frozen=True, slots=True)
class _Token:
    """`account` is (namespace, name, uid) of the service account that it ends with, None for a person's token;
    `until` on the clock of `time.monotonic`.
    """

    user: User
    account: tuple[str, str, str] | None = None
    until: float | None = None


def account_groups(name: str) -> tuple[str, ...]:
    """The groups that a user name gives: those of service accounts; of any other name none."""
    account = account_of(name)
    if account is None:
        return ()
    return ("system:serviceaccounts", f"system:serviceaccounts:{account[0]}")


def account_of(name: str) -> tuple[str, str] | None:
    """(namespace, name) of the service account that a user name stands for; None when it stands for none."""
    namespace, _, account = name.removeprefix(_ACCOUNTS).partition(":")
    return (namespace, account) if name.startswith(_ACCOUNTS) and namespace and account else None


class Tokens:
    """The tokens that the API server accepts: the administrator's, and those issued for service accounts.

    `exists` tells whether there is still a service account with this (namespace, name, uid); its tokens end with it.
    """

    def __init__(self, exists: Callable[[str, str, str], bool]) -> None:
        self.admin = secrets.token_urlsafe(32)
        self._exists = exists
        self._tokens: dict[str, _Token] = {self.admin: _Token(User(ADMIN, (MASTERS, AUTHENTICATED)))}
        self._kept: dict[tuple[str, str, str], str] = {}

    def authenticate(self, authorization: str) -> User | None:
        """The user behind an Authorization header; anonymous without one, None for a token that is not good."""
        if not authorization:
            return ANONYMOUS
        scheme, _, token = authorization.partition(" ")
        return self.review(token.strip()) if scheme.lower() == "bearer" else None

    def review(self, token: str) -> User | None:
        """The user behind a token; None when it is unknown, has expired, or its service account is gone."""
        found = self._tokens.get(token)
        if found is None:
            return None
        expired = found.until is not None and time.monotonic() > found.until
        if expired or (found.account is not None and not self._exists(*found.account)):
            del self._tokens[token]
            return None
        return found.user

    def keep(self, namespace: str, name: str, uid: str = "") -> str:
        """The token of a service account that its pods have, the same each time and good until the account goes.

        Without a `uid`, for an account that is only about to exist, the token ends with the sandbox.
        """
        place = (namespace, name, uid)
        token = self._kept.get(place)
        if token is None or token not in self._tokens:
            token = self._kept[place] = self._add(place, None)
        return token

    def issue(self, namespace: str, name: str, uid: str, seconds: float) -> str:
        """A new token of a service account, good for some seconds."""
        return self._add((namespace, name, uid), time.monotonic() + seconds)

    def _add(self, place: tuple[str, str, str], until: float | None) -> str:
        namespace, name, uid = place
        who = f"{_ACCOUNTS}{namespace}:{name}"
        user = User(who, (*account_groups(who), AUTHENTICATED), uid)
        token = secrets.token_urlsafe(32)
        self._tokens[token] = _Token(user, place if uid else None, until)
        return token
