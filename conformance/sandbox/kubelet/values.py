"""What config maps and secrets hold, as bytes."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.objects import JSON


class ConfigurationError(Exception):
    """A pod refers to something that is missing or not supported; the message is for its author."""


def decoded(source: JSON) -> dict[str, bytes]:
    """The contents of a ConfigMap or Secret by key. Raises ConfigurationError for bad base64."""
    encoded = dict(source.get("binaryData") or {})
    plain = source.get("data") or {}
    if source["kind"] == "Secret":
        encoded, plain = plain, {}
    contents = {key: str(value).encode() for key, value in plain.items()}
    for key, value in encoded.items():
        try:
            contents[key] = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError) as error:
            name = source["metadata"]["name"]
            raise ConfigurationError(f"{source['kind']} {name}: key {key} is not base64: {error}") from error
    return contents
