"""How pages of HTML are set: from templates with one head, texts escaped and their control characters spelt out.

A package has its templates in its directory `templates`; they extend `base.html`, which is this package's.
"""

from __future__ import annotations

from typing import Any, Final

import jinja2

from conformance.writing import UNPRINTABLE

_SHARED: Final = "conformance.report"


def environment(package: str = _SHARED) -> jinja2.Environment:
    """Return what reads the templates of a package and sets them. Whatever they show is text, but for `Markup`."""
    loaders = [jinja2.PackageLoader(name) for name in dict.fromkeys((package, _SHARED))]
    return jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_finalized,
        loader=jinja2.ChoiceLoader(loaders),
    )


def _finalized(value: Any) -> Any:
    """Spell out what is left of control characters, in whatever the template shows that is not markup of ours."""
    if hasattr(value, "__html__"):
        return value
    return UNPRINTABLE.sub(lambda found: f"\\x{ord(found[0]):02x}", str(value))
