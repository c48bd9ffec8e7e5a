"""Descriptions as data: YAML files that a schema of `conformance/schema/` says all about."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml


def read_yaml(file: Path, error: type[Exception]) -> Any:
    """Return what a YAML file says. Raises `error` when it cannot be read."""
    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as trouble:
        raise error(f"{file} cannot be read: {trouble}") from trouble


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
