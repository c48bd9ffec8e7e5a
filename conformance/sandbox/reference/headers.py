"""Which matches of a route group Envoy can take. One that it cannot would make it refuse the whole listener."""

from __future__ import annotations

import re
from typing import Final

from conformance.sandbox.reference import expressions
from conformance.sandbox.reference.model import HeaderMatch, Match

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,200}")  # RFC 9110, section 5.6.2


def trouble(header: HeaderMatch) -> str:
    """Return why Envoy cannot match this header, or an empty string."""
    if not _TOKEN.fullmatch(header.name):
        return f"{header.name[:60]!r} is not the name of a header"
    why = expressions.trouble(header.regex)
    return f"the expression for {header.name} {why}" if why else ""


def troubles(match: Match) -> list[str]:
    """Return why Envoy cannot tell the requests of a match: of its headers, its path and its methods."""
    path = expressions.trouble(match.path_regex)
    return [
        *filter(None, map(trouble, match.headers)), *([f"the expression for the path {path}"] if path else ()),
        *(f"{method[:60]!r} is not a method" for method in match.methods if not _TOKEN.fullmatch(method)),
    ]
