"""What Allure 3 is told by its configuration: the meshes as environments, the categories, where the history is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from conformance.report.allure import CATEGORIES_IN_ORDER
from conformance.report.writing import ReportError

FILE: Final = "allurerc.mjs"
HISTORY: Final = "history.jsonl"
HISTORY_LIMIT: Final = 20
"""How many runs a trend has, as in Allure 2."""

_MAX_RESULT: Final = 16 * 2**20
"""The longest result file that is read, in bytes: a result carries its text, and attachments stand beside it."""

_LONGEST_NAME: Final = 64
"""The longest name of an environment that Allure 3 takes."""


def meshes(results: Path) -> list[str]:
    """Return the meshes that a directory of results is about, sorted. Raises ReportError for what is no result."""
    found = set()
    for path in sorted(results.glob("*-result.json")):
        try:
            if path.is_symlink() or not path.is_file() or path.stat().st_size > _MAX_RESULT:
                raise ReportError(f"{path.name} is no result: it is no plain file of at most {_MAX_RESULT >> 20} MiB")
            found |= _labelled(json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise ReportError.of(f"the results in {results} cannot be read", error) from error
        except (ValueError, RecursionError) as error:
            raise ReportError(f"{path} is no Allure result: {error}; write the results anew with `mesh-conformance "
                              "report allure RECORD`") from error
    return sorted(found)


def _labelled(document: Any) -> set[str]:
    labels = document.get("labels") if isinstance(document, dict) else None
    if not isinstance(labels, list):
        raise ValueError("it has no labels")  # noqa: TRY004 - the same to who reads it as a file that is not JSON
    return {label["value"] for label in labels if isinstance(label, dict) and label.get("name") == "mesh"
            and isinstance(label.get("value"), str)}


def render(names: Iterable[str], history: str, *, single_file: bool) -> str:
    """Return the configuration as an ECMAScript module, for these meshes.

    An environment is a function in Allure's configuration, which is why it cannot be JSON; all else in it is.
    """
    environments = "".join(
        f"    {_script(f'mesh-{number}')}: {{name: {_script(shown)}, "
        f'matcher: ({{labels}}) => labels.some((l) => l.name === "mesh" && l.value === {_script(name)})}},\n'
        for number, (name, shown) in enumerate(_environments(names).items(), 1)
    )
    awesome = {"options": {
        "singleFile": single_file, "reportName": "mesh-conformance", "groupBy": ["parentSuite", "suite", "subSuite"],
    }}
    return (
        "export default {\n"
        f"  name: {_script('mesh-conformance')},\n"
        f"  historyPath: {_script(history)},\n"
        f"  historyLimit: {HISTORY_LIMIT},\n"
        f"  environments: {{\n{environments}  }},\n"
        f"  categories: {_script(_categories())},\n"
        f"  plugins: {_script({'awesome': awesome})},\n"
        "};\n"
    )


def _categories() -> list[dict[str, Any]]:
    return [
        {"name": category.name, "groupBy": ["environment"],
         "matchers": {"statuses": [category.status], "labels": {
             "outcome": f"^{category.outcome}$", **({"level": f"^{category.level}$"} if category.level else {})}}}
        for category in CATEGORIES_IN_ORDER
    ]


def _environments(names: Iterable[str]) -> dict[str, str]:
    """Return a name for each mesh that Allure 3 takes: short, its own, and nothing in it that looks like a path."""
    shown: dict[str, str] = {}
    for number, name in enumerate(names, 1):
        plain = re.sub(r"\.{2,}", ".", "".join(c if c.isalnum() or c in " ._-" else "-" for c in name))
        plain = plain[:_LONGEST_NAME - 8].strip(" .")
        shown[name] = f"{plain} {number}".strip() if not plain or plain in shown.values() else plain
    return shown


def _script(value: Any) -> str:
    """JSON is ECMAScript; all but ASCII is escaped, line separators too."""
    return json.dumps(value, ensure_ascii=True)
