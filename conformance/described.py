"""Descriptions as data: YAML files that a schema of `conformance/schema/` says all about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from yaml.composer import ComposerError


class _WithoutAliases(yaml.SafeLoader):
    """Refuses `*name`: a few lines of them stand for more than any memory holds."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            problem = "an alias (*name) is not read here: write out what it stands for"
            raise ComposerError(None, None, problem, self.get_mark())
        return super().compose_node(parent, index)


def read_yaml(file: Path, error: type[Exception]) -> Any:
    """Return what a YAML file says. Raises `error` when it cannot be read."""
    try:
        return yaml.load(file.read_text(encoding="utf-8"), Loader=_WithoutAliases)  # noqa: S506 - a safe one
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as trouble:
        raise error(f"{file} cannot be read: {trouble}") from trouble
    except RecursionError as trouble:
        raise error(f"{file} cannot be read: it is nested too deeply") from trouble


def read(file: Path, schema: str, error: type[Exception]) -> Any:
    """Return what a YAML file says, once it is valid by a schema. Raises `error`, naming the file and the field."""
    data = read_yaml(file, error)
    check(file, data, schema, error)
    return data


def check(file: Path, data: Any, schema: str, error: type[Exception]) -> None:
    """Make sure that what a file says is valid by a schema. Raises `error`, naming the file and the field."""
    for where, key in _keys(data):
        if not isinstance(key, str):
            raise error(f"{file}: {where}: the key {key!r} is not text; put it in quotes")
    rules = json.loads((Path(__file__).parent / "schema" / schema).read_text(encoding="utf-8"))
    problems = sorted(jsonschema.Draft202012Validator(rules).iter_errors(data), key=lambda problem: list(problem.path))
    if problems:
        where = ".".join(str(step) for step in problems[0].absolute_path) or "the top level"
        raise error(f"{file}: {where}: {problems[0].message}")


def _keys(data: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every key of what a YAML file says, with the place where it stands."""
    entries = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in entries:
        if isinstance(data, dict):
            yield where or "the top level", key
        yield from _keys(value, f"{where}.{key}" if where else str(key))
