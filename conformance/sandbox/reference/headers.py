"""Which header matches Envoy can take. One that it cannot would make it refuse the whole listener."""

from __future__ import annotations

import re
import warnings
from typing import Final

from conformance.sandbox.reference.model import HeaderMatch

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,200}")  # RFC 9110, section 5.6.2
_LONGEST: Final = 1000
# RE2 is linear in time because it has none of these; Python's own parser knows them.
_NOT_IN_RE2: Final = re.compile(
    r"\(\?(?:[=!>(#]|<[=!]|P=|[aLux])|\\(?:[1-9]|[ZNuU_]|[^\x00-\x7f])|[*+?}]\+|\{(?:\d+,)?[1-9]\d{3,}[,}]",
)
_LARGEST: Final = 10_000
_TOKEN_OF_REGEX: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(?P<low>\d*),?(?P<high>\d*)\}|.", re.DOTALL)
_NOT_IN_CLASS: Final = re.compile(r"\\(?:[bBAZNuU1-9_]|[^\x00-\x7f])")
_PUNCTUATION: Final = re.compile(r"\\[!-/:-@\[-^`{-~]")
_CLASS: Final = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)


def trouble(header: HeaderMatch) -> str:
    r"""Return why Envoy cannot match this header, or an empty string.

    An expression has to be valid both here and in RE2, so a few that only RE2 knows (`\z`, `\pN`) are refused too.
    """
    if not _TOKEN.fullmatch(header.name):
        return f"{header.name[:60]!r} is not the name of a header"
    if len(header.regex) > _LONGEST:
        return f"the expression for {header.name} is longer than {_LONGEST} characters"
    if found := _not_in_re2(header.regex):
        return f"the expression for {header.name} uses {found!r}, which RE2 does not have"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of constructs whose meaning it may change
            re.compile(header.regex)
    except (re.error, RecursionError, OverflowError) as error:
        return f"the expression for {header.name} is invalid: {error}"
    if _size(header.regex) > _LARGEST:
        return f"the expression for {header.name} repeats too much"
    return ""


def _not_in_re2(regex: str) -> str:
    plain = _PUNCTUATION.sub("_", regex)
    in_classes = (_NOT_IN_CLASS.search(one[0]) for one in _CLASS.finditer(plain))
    return next((found[0] for found in (_NOT_IN_RE2.search(_CLASS.sub("_", plain)), *in_classes) if found), "")


def _size(regex: str) -> int:
    """Estimate how large a valid expression is once its counted repetitions are written out."""
    groups, last = [0], 0
    for token in _TOKEN_OF_REGEX.finditer(regex):
        if token[0] == "(":
            groups.append(0)
        elif token[0] == ")" and len(groups) > 1:
            last = groups.pop()
            groups[-1] += last
        elif token["low"] or token["high"]:
            times = max(int(token["low"] or 0), int(token["high"] or 0))
            groups[-1] += last * max(times - 1, 0)
            last *= max(times, 1)
        else:
            last = 1
            groups[-1] += 1
    return sum(groups)
