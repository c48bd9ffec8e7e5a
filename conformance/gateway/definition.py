"""The definition of HTTPRoute that is served beside the reference mesh: our own, of the fields that the suite uses.

A mesh that is found on a cluster is judged with the definition that is there.
"""

from __future__ import annotations

import copy
from functools import cache

import yaml

from conformance import paths
from conformance.cluster import Object


@cache
def _read() -> Object:
    file = paths.fixtures() / "gateway" / "httproutes.yaml"
    found: Object = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def definition() -> Object:
    """Return the CustomResourceDefinition."""
    return copy.deepcopy(_read())
