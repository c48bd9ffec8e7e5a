"""Conversion of custom resources by a webhook: where it is, what it is asked, and what its answer must be.

Follows ConversionReview of `apiextensions.k8s.io`, v1 and v1beta1.
"""

from __future__ import annotations

import base64
import binascii
import ssl
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from conformance.sandbox.apiserver.errors import Cause, forbidden_value, invalid_value, required, unsupported_value
from conformance.sandbox.apiserver.objects import JSON, Objects, clone, name_of, namespace_of, uid_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_GROUP: Final = "apiextensions.k8s.io"
_KNOWN: Final = ("v1", "v1beta1")
_STRATEGIES: Final = ("None", "Webhook")
_KEPT: Final[dict[str, Callable[[JSON], str]]] = {
    "kind": lambda obj: str(obj.get("kind")), "name": name_of, "namespace": namespace_of, "UID": uid_of,
}  # fmt: skip
"""What no conversion may change."""


class ConversionError(Exception):
    """A webhook's answer is not what it must be."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where a definition's objects are converted. `host` is what its certificate must name, `ca` the PEM text of who
    may have signed that, empty for the machine's own authorities. Either `service`, as (namespace, name, port), or
    nothing but `url` leads there.
    """

    url: str
    host: str
    ca: str
    review: str
    service: tuple[str, str, int] | None = None

    @classmethod
    def of(cls, definition: JSON) -> Webhook | None:
        """The webhook of a valid definition; None when it converts without one."""
        conversion = definition["spec"].get("conversion") or {}
        if conversion.get("strategy") != "Webhook":
            return None
        webhook = conversion["webhook"]
        client = webhook["clientConfig"]
        ca = base64.b64decode(client.get("caBundle") or "").decode()
        review = next(version for version in webhook["conversionReviewVersions"] if version in _KNOWN)
        service = client.get("service")
        if not service:
            return cls(client["url"], urlsplit(client["url"]).hostname or "", ca, review)
        port = int(service.get("port") or 443)
        host = f"{service['name']}.{service['namespace']}.svc"
        url = f"https://{host}:{port}/{str(service.get('path') or '').lstrip('/')}"
        return cls(url, host, ca, review, (service["namespace"], service["name"], port))

    def question(self, objects: Objects, api_version: str) -> JSON:
        """The ConversionReview to send."""
        request = {"uid": str(uuid.uuid4()), "desiredAPIVersion": api_version, "objects": objects}
        return {"kind": "ConversionReview", "apiVersion": f"{_GROUP}/{self.review}", "request": request}

    def converted(self, question: JSON, answer: Any) -> Objects:
        """The objects of an answer, with the metadata that they had but for labels and annotations.

        Raises ConversionError when it is no proper answer to the question.
        """
        given = answer if isinstance(answer, dict) else {}
        if self.review == "v1" and (given.get("apiVersion"), given.get("kind")) != (f"{_GROUP}/v1", "ConversionReview"):
            found = f"{given.get('apiVersion') or ''}, Kind={given.get('kind') or ''}"
            raise ConversionError(f"expected webhook response of {_GROUP}/v1, Kind=ConversionReview, got {found}")
        response: Any = given.get("response")
        if not isinstance(response, dict):
            raise ConversionError("no response provided")
        request = question["request"]
        if self.review == "v1" and response.get("uid") != request["uid"]:
            raise ConversionError(f'expected response.uid="{request["uid"]}", got "{response.get("uid") or ""}"')
        result = response.get("result") or {}
        if result.get("status") != "Success":
            status = result.get("status") or ""
            raise ConversionError(result.get("message") or f"response.result.status was '{status}', not 'Success'")
        return _checked(request["objects"], response.get("convertedObjects") or [], request["desiredAPIVersion"])


def _checked(objects: Objects, converted: list[Any], api_version: str) -> Objects:
    if len(converted) != len(objects):
        raise ConversionError(f"returned {len(converted)} objects, expected {len(objects)}")
    for index, (before, after) in enumerate(zip(objects, converted, strict=True)):
        what = f"returned invalid converted object at index {index}"
        if not isinstance(after, dict):
            raise ConversionError(f"{what}: it is no object")
        if after.get("apiVersion") != api_version:
            wrong = f"expected {api_version}, received {after.get('apiVersion')}"
            raise ConversionError(f"{what}: invalid groupVersion ({wrong})")
        metadata = after.get("metadata")
        if not isinstance(metadata, dict):
            raise ConversionError(f"{what}: missing metadata in converted object")
        for field, read in _KEPT.items():
            if read(before) != read(after):
                raise ConversionError(f"{what}: must have the same {field}: {read(before)} != {read(after)}")
    return [_restored(before, after) for before, after in zip(objects, converted, strict=True)]


def _restored(before: JSON, after: JSON) -> JSON:
    metadata = clone(before["metadata"])
    for field in ("labels", "annotations"):
        metadata.pop(field, None)
        given = after["metadata"].get(field)
        if given is None:
            continue
        if not isinstance(given, dict) or any(not isinstance(value, str) for value in given.values()):
            raise ConversionError(f"returned invalid metadata: metadata.{field} must be a map of strings")
        metadata[field] = dict(given)
    return {**after, "metadata": metadata}


def problems(conversion: JSON) -> list[Cause]:
    """What is wrong with `spec.conversion` of a definition; fields are named as Kubernetes names them in messages."""
    at = "spec.conversion"
    strategy = conversion.get("strategy")
    if not strategy:
        return [required(f"{at}.strategy")]
    if strategy not in _STRATEGIES:
        return [unsupported_value(f"{at}.strategy", strategy, _STRATEGIES)]
    webhook = conversion.get("webhook")
    if strategy == "None":
        why = "should not be set when strategy is not set to Webhook"
        return [forbidden_value(f"{at}.webhookClientConfig", why)] if webhook else []
    client = (webhook or {}).get("clientConfig")
    found = _client(client, f"{at}.webhookClientConfig")
    return found + _reviews((webhook or {}).get("conversionReviewVersions") or [], f"{at}.conversionReviewVersions")


def _client(client: JSON | None, at: str) -> list[Cause]:
    if not client:
        return [required(at, "required when strategy is set to Webhook")]
    url, service = client.get("url"), client.get("service")
    found: list[Cause] = []
    if (url is None) is (service is None):
        return [required(at, "exactly one of url or service is required")]
    if service is None:
        parts = urlsplit(str(url))
        if parts.scheme != "https":
            found.append(invalid_value(f"{at}.url", parts.scheme, "'https' is the only allowed URL scheme; desired "
                                                                  "format: https://host[/path]"))  # fmt: skip
        if not parts.hostname:
            found.append(invalid_value(f"{at}.url", "", "host must be specified; desired format: https://host[/path]"))
    else:
        found += [required(f"{at}.service.{field}") for field in ("name", "namespace") if not service.get(field)]
        port = service.get("port", 443)
        if not isinstance(port, int) or not 1 <= port <= 65535:
            why = "port is not valid: must be between 1 and 65535, inclusive"
            found.append(invalid_value(f"{at}.service.port", port, why))
    return found + _authority(client.get("caBundle"), f"{at}.caBundle")


def _authority(bundle: str | None, at: str) -> list[Cause]:
    if not bundle:
        return []
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=base64.b64decode(bundle).decode())
    except (binascii.Error, ssl.SSLError, ValueError) as error:
        return [invalid_value(at, "...", f"unable to load root certificates: {error}")]
    return []


def _reviews(versions: Iterable[str], at: str) -> list[Cause]:
    given = list(versions)
    if not given:
        return [required(at)]
    if not set(given) & set(_KNOWN):
        return [invalid_value(at, given, f"must include at least one of {', '.join(_KNOWN)}")]
    return []
