"""Which regular expressions Envoy can take. One that it cannot would make it refuse the whole listener."""

from __future__ import annotations

import re
import warnings
from typing import Final

_LONGEST: Final = 1000
# RE2 is linear in time because it has none of these; Python's own parser knows them.
_NOT_IN_RE2: Final = re.compile(
    r"\(\?(?:[=!>(#]|<[=!]|P=|[aLux])|\\(?:[1-9]|[ZNuU_]|[^\x00-\x7f])|[*+?}]\+|\{(?:\d+,)?[1-9]\d{3,}[,}]",
)
_LARGEST: Final = 10_000  # instructions, roughly; RE2 refuses from some hundred thousand bytes on
_TOKEN_OF_REGEX: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\{(?P<low>\d*),?(?P<high>\d*)\}|.", re.DOTALL)
_NOT_IN_CLASS: Final = re.compile(r"\\(?:[bBAZNuU1-9_]|[^\x00-\x7f])")
_PUNCTUATION: Final = re.compile(r"\\[!-/:-@\[-^`{-~]")
_CLASS: Final = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)


def trouble(regex: str) -> str:
    r"""Return why Envoy cannot take this expression, as the end of a sentence about it, or an empty string.

    It has to be valid both here and in RE2, so a few that only RE2 knows (`\z`, `\pN`) are refused too.
    """
    return _too_much(regex) or _not_in_re2(regex) or _invalid(regex)


def _too_much(regex: str) -> str:
    if len(regex) > _LONGEST:
        return f"is longer than {_LONGEST} characters"
    return "repeats too much" if _size(regex) > _LARGEST else ""


def _invalid(regex: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in regex):
        return "is not valid Unicode"  # Envoy would refuse all of the JSON that has it
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python warns of constructs whose meaning it may change
            re.compile(regex)
    except (re.error, RecursionError, OverflowError) as error:
        return f"is invalid: {error}"
    return ""


def _not_in_re2(regex: str) -> str:
    plain = _PUNCTUATION.sub("_", regex)
    in_classes = (_NOT_IN_CLASS.search(one[0]) for one in _CLASS.finditer(plain))
    found = next(filter(None, (_NOT_IN_RE2.search(_CLASS.sub("_", plain)), *in_classes)), None)
    return f"uses {found[0]!r}, which RE2 does not have" if found else ""


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
