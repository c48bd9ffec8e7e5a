"""Descriptions as data: YAML files that a schema of `conformance/schema/` says all about."""

from __future__ import annotations

import json
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
    rules = json.loads((Path(__file__).parent / "schema" / schema).read_text(encoding="utf-8"))
    problems = sorted(jsonschema.Draft202012Validator(rules).iter_errors(data), key=lambda problem: list(problem.path))
    if problems:
        where = ".".join(str(step) for step in problems[0].absolute_path) or "the top level"
        raise error(f"{file}: {where}: {problems[0].message}")
    return data
