"""A client of Prometheus' HTTP API (v1; Thanos, Mimir and VictoriaMetrics speak it as well).

Every answer is checked before it is believed: an answer that Prometheus itself calls incomplete carries its warnings.
What a mesh consumes, as cAdvisor and node-exporter tell Prometheus, is read by `prometheus_usage`.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import httpx
import jsonschema

from conformance.performance.usage.consumption import UsageError

TIMEOUT: Final = 15.0
LARGEST: Final = 64 * 2**20
"""Bytes of an answer that are read at most."""

_ANSWER: Final = jsonschema.Draft202012Validator({
    "type": "object", "required": ["data"], "properties": {
        "status": {"const": "success"},
        "warnings": {"type": ["array", "null"], "items": {"type": "string"}},
        "data": {"type": "object", "required": ["resultType", "result"], "properties": {
            "resultType": {"enum": ["vector", "matrix", "scalar"]}, "result": {"type": "array"}}},
    },
})


class PrometheusError(UsageError):
    """Prometheus could not be asked, or refused: what was being done, what was found, what to do next."""


@dataclass(frozen=True)
class Series:
    """One time series: its labels, and points of (seconds since 1970, value). A value may be NaN or infinite."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Answer:
    """The series that a query found. With `warnings`, Prometheus itself says that the answer is not all there is."""

    series: tuple[Series, ...]
    warnings: tuple[str, ...] = ()


class Prometheus:
    """One Prometheus, by its base URL, such as `http://127.0.0.1:9090`; a context manager that closes it.

    `headers` are sent with every request, for a bearer token or a tenant. `ca` is a file of certificates to trust in
    place of the usual ones. `timeout` is in seconds, for each request. Nothing but queries is ever sent.
    """

    def __init__(
        self, url: str, *, headers: Mapping[str, str] | None = None, ca: str | None = None, timeout: float = TIMEOUT,
    ) -> None:
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise PrometheusError(f"the address of Prometheus {url!r:.200} is no URL: {error}") from error
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise PrometheusError(f"the address of Prometheus {url!r:.200} must begin with http:// or https:// and "
                                  "name a host")
        self.name = str(parsed.copy_with(userinfo=b"")).rstrip("/")  # a password must not get into a message
        self._base = str(parsed).rstrip("/")
        self._timeout = timeout
        try:
            verify = ssl.create_default_context(cafile=ca) if ca else True
        except OSError as error:
            raise PrometheusError(f"reading the certificates in {ca} for {self.name}: {error}") from error
        self._client = httpx.Client(headers=headers, verify=verify, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, type_: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def query(self, expression: str, at: float | None = None) -> Answer:
        """Evaluate an expression at one moment (seconds since 1970; now). Raises PrometheusError.

        With a range at its end, such as `name[60s]`, the answer has the samples as they were scraped, each at its time.
        """
        return self._ask("query", expression, {} if at is None else {"time": f"{at:.3f}"})

    def query_range(self, expression: str, start: float, end: float, step: float) -> Answer:
        """Evaluate an expression every `step` seconds from `start` to `end`. Raises PrometheusError."""
        if end < start or step <= 0:
            raise PrometheusError(f"asking {self.name} for {expression:.200}: no range from {start} to {end} in steps "
                                  f"of {step} s")
        return self._ask("query_range", expression, {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"})

    def _ask(self, verb: str, expression: str, more: Mapping[str, str]) -> Answer:
        doing = f"asking {self.name} for {expression:.200}"
        status, data = self._send(f"{self._base}/api/v1/{verb}", {"query": expression, **more}, doing)
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError):
            raise PrometheusError(_no_answer(doing, status, data)) from None
        if isinstance(answer, dict) and answer.get("status") == "error":
            raise PrometheusError(_refusal(doing, status, answer))
        if status != httpx.codes.OK:
            raise PrometheusError(_no_answer(doing, status, data))
        problem = next(iter(_ANSWER.iter_errors(answer)), None)
        if problem is not None:
            where = ".".join(str(step) for step in problem.absolute_path) or "the top level"
            raise PrometheusError(f"{doing}: {where} of the answer: {problem.message:.200}. Is this Prometheus' API?")
        try:
            return _parsed(answer)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise PrometheusError(f"{doing}: the answer has a series that is none ({type(error).__name__}: "
                                  f"{error!s:.100}). Is this Prometheus' API?") from error

    def _send(self, url: str, form: Mapping[str, str], doing: str) -> tuple[int, bytes]:
        try:
            with self._client.stream("POST", url, data=form) as response:
                data = bytearray()
                for piece in response.iter_bytes():
                    data += piece
                    if len(data) > LARGEST:
                        raise PrometheusError(f"{doing}: the answer is larger than {LARGEST >> 20} MiB. Ask for fewer "
                                              "pods or a shorter time")
                return response.status_code, bytes(data)
        except httpx.TimeoutException as error:
            raise PrometheusError(f"{doing}: no answer within {self._timeout:g} s. Is it reachable from here, and not "
                                  "overloaded?") from error
        except httpx.ConnectError as error:
            raise PrometheusError(f"{doing}: {error}. Is the address right? Prometheus' own port is 9090; from outside "
                                  "of a cluster, `kubectl port-forward` leads to it") from error
        except httpx.HTTPError as error:
            raise PrometheusError(f"{doing}: {type(error).__name__}: {error}") from error


def selector(metric: str, matchers: Mapping[str, str] | None = None, *fixed: str) -> str:
    """Write a selector of a metric by labels, each equal to a value, with matchers already written added.

    Raises PrometheusError for a label that cannot be one.
    """
    parts = list(fixed)
    for label, value in (matchers or {}).items():
        if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", label):
            raise PrometheusError(f"{label!r:.60} is not a label by which {metric} could be selected")
        parts.append(f"{label}={quoted(value)}")
    return f"{metric}{{{','.join(parts)}}}"


def quoted(value: str) -> str:
    """Write a string as an expression has it."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _no_answer(doing: str, status: int, data: bytes) -> str:
    text = " ".join(data[:120].decode("utf-8", "replace").split())
    if status in (401, 403):
        advice = "The credential is missing, wrong or not good for queries"
    elif 300 <= status < 400:
        advice = "It leads elsewhere, perhaps to a login: name the address of Prometheus itself"
    elif status == 404:
        advice = "Nothing is served there: give the address without /api/v1, and with the path it is served under"
    else:
        advice = "Is this Prometheus, and not a page before it?"
    return f"{doing}: HTTP {status} without an answer of Prometheus ({text}). {advice}"


_ADVICE: Final[Mapping[str, str]] = {
    "execution": "Narrow the pods or the time, or raise the limits of this Prometheus",
    "timeout": "Narrow the pods or the time, or raise its --query.timeout",
    "canceled": "Ask again",
    "unavailable": "Ask again when it has started",
    "bad_data": "The expression or the time is one that this server does not understand",
}


def _refusal(doing: str, status: int, answer: Mapping[str, Any]) -> str:
    kind = str(answer.get("errorType", "error"))
    advice = _ADVICE.get(kind, "See the log of this Prometheus")
    return f"{doing}: HTTP {status}, {kind}: {answer.get('error', 'no reason given')!s:.300}. {advice}"


def _parsed(answer: Mapping[str, Any]) -> Answer:
    data = answer["data"]
    type_, result = data["resultType"], data["result"]
    if type_ == "scalar":
        found = [Series({}, _points([result]))]
    else:
        found = [_series(one["metric"], [one["value"]] if type_ == "vector" else one["values"]) for one in result]
    return Answer(tuple(found), tuple(answer.get("warnings") or ()))


def _series(labels: Mapping[str, str], points: Iterable[tuple[float, str]]) -> Series:
    found = Series({str(name): str(value) for name, value in labels.items()}, _points(points))
    if not found.points:
        raise ValueError("no samples")
    return found


def _points(points: Iterable[tuple[float, str]]) -> tuple[tuple[float, float], ...]:
    return tuple((float(at), float(value)) for at, value in points)
