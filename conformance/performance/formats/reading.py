"""Which tool wrote a result, told by its content, and reading it within bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from conformance.performance.formats import ab, autocannon, fortio, h2load, hey, k6, nighthawk, oha, vegeta, wrk
from conformance.performance.formats.fields import load
from conformance.performance.formats.foreign import Foreign, FormatError
from conformance.performance.formats.plausible import check

LARGEST: Final = 64 * 2**20
"""Bytes of a result that are read at most: a log of a million requests."""


@dataclass(frozen=True)
class _Format:
    """One form that a tool writes; `recognises` and `read` get parsed JSON where `json`, else the text."""

    tool: str
    how: str
    json: bool
    recognises: Callable[[Any], bool]
    read: Callable[[Any], Foreign]


# Nighthawk's form is fortio's with marks of its own, so that it is asked first.
_FORMATS: Final = (
    _Format(nighthawk.NAME, nighthawk.HOW, True, nighthawk.recognises, nighthawk.read),
    _Format(fortio.NAME, fortio.HOW, True, fortio.recognises, fortio.read),
    _Format(k6.NAME, k6.HOW, True, k6.recognises, k6.read),
    _Format(vegeta.NAME, vegeta.HOW, True, vegeta.recognises, vegeta.read),
    _Format(oha.NAME, oha.HOW, True, oha.recognises, oha.read),
    _Format(autocannon.NAME, autocannon.HOW, True, autocannon.recognises, autocannon.read),
    _Format(hey.NAME, hey.HOW, False, hey.recognises, hey.read),
    _Format(h2load.NAME, h2load.HOW, False, h2load.recognises, h2load.read),
    _Format(h2load.NAME, h2load.HOW, False, h2load.recognises_log, h2load.read_log),
    _Format(wrk.NAME, wrk.HOW, False, wrk.recognises, wrk.read),
    _Format(wrk.SUCCESSOR, wrk.HOW, False, wrk.recognises, wrk.read),
    _Format(ab.NAME, ab.HOW, False, ab.recognises, ab.read),
    _Format(ab.NAME, ab.HOW, False, ab.recognises_csv, ab.read_csv),
)
TOOLS: Final = tuple(dict.fromkeys(form.tool for form in _FORMATS))
"""The tools whose results can be read."""


def read(source: Path | str, tool: str = "") -> Foreign:
    """Read the result of a tool, which its content tells; `tool` insists on one of TOOLS.

    A string with a line break, or that begins with a brace, is the result itself; any other is a path, as is a Path.
    Raises FormatError, also when the file cannot be read, the content is of no tool or of another one, the result is
    truncated, or its figures cannot be true together.
    """
    if tool and tool not in TOOLS:
        raise FormatError(tool, "its name", f"one of {', '.join(TOOLS)}", tool)
    if isinstance(source, str) and ("\n" in source or source.lstrip().startswith(("{", "["))):
        text = source
        if len(text) > LARGEST:
            raise FormatError(tool, "its size", f"at most {LARGEST // 2**20} MiB", f"{len(text)} characters")
    else:
        text = _text(Path(source), tool)
    content = load(text, tool) if text.lstrip().startswith(("{", "[")) else text
    form = _form(content, tool)
    try:
        return check(_held(form.read(content), tool))
    except FormatError as error:
        error.hint = error.hint or form.how
        raise
    # A tool may state figures whose products no longer are numbers.
    except OverflowError as error:
        raise FormatError(form.tool, "its figures", "numbers of a load test", str(error), form.how) from None


def _held(result: Foreign, tool: str) -> Foreign:
    """Hold that a result is of the tool that was insisted on: wrk and wrk2 differ within their text only."""
    if tool and result.tool != tool:
        raise FormatError(tool, "its content", f"a result of {tool}", f"one of {result.tool}")
    return result


def _text(path: Path, tool: str) -> str:
    try:
        if not path.is_file():
            raise FormatError(tool, str(path), "a file", "nothing" if not path.exists() else "something else")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise FormatError(tool, str(path), f"at most {LARGEST // 2**20} MiB", "more")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FormatError(tool, f"byte {error.start} of {path}", "text in UTF-8", "something else") from None
    except (OSError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(tool, str(path)[:200], "a file that can be read", str(error)[:200]) from None


def _form(content: Any, tool: str) -> _Format:
    asked = [form for form in _FORMATS if tool in {"", form.tool}]
    for form in asked:
        if form.json != isinstance(content, str) and form.recognises(content):
            return form
    others = [form.tool for form in _FORMATS if form.json != isinstance(content, str) and form.recognises(content)]
    if tool:
        found = f"one of {others[0]}" if others else _other(content)
        raise FormatError(tool, "its content", f"a result of {tool}", found, asked[0].how)
    raise FormatError("", "its content", f"a result of {', '.join(TOOLS)}", _other(content),
                      "see the documentation of each for the form that is read")


def _other(content: Any) -> str:
    """Say what an unknown content is, and of known tools' other forms which one to ask for."""
    if isinstance(content, list):
        return "a JSON list"
    if isinstance(content, str):
        return _other_text(content)
    if {"options", "results"} <= content.keys():
        return f"perhaps Nighthawk's own JSON: {nighthawk.HOW}"
    return f"JSON with {', '.join(map(repr, list(content)[:5])) or 'nothing'}"[:200]


def _other_text(text: str) -> str:
    if not text.strip():
        return "nothing"
    if text.startswith("Requests      [total"):
        return f"vegeta's text: {vegeta.HOW}"
    if "Slowest:" in text and "Status code distribution:" in text:
        return f"the text of hey or oha: {hey.HOW}, {oha.HOW}"
    return f"text that begins {text.lstrip().splitlines()[0][:60]!r}"
