"""The harness's half of the agent's control protocol; the other half is `conformance/workloads/agent.py`.

Everything that an agent says is untrusted until it is checked here; whatever is not as agreed is an `AgentError`, which
is an error of the harness and never says anything about a mesh.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import quote

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from conformance.traffic import (
    FAILURE_KINDS,
    Answer,
    Batch,
    Exchange,
    Failure,
    Identity,
    Latency,
    Outcome,
    Received,
    Sample,
    Seen,
)

PROTOCOL = 1  # the version of the control protocol
TELL_EVERY = 2.0  # seconds between two words on the progress of a load
START_WITHIN = 60.0  # seconds that an agreed start may lie ahead


class AgentError(Exception):
    """An agent could not be reached or did not speak as agreed: the harness or the cluster broke, not the mesh."""


class Send(Protocol):
    """Carries one command to an agent's control port and brings the answer's body back, whatever its status.

    It raises when there is no answer within `timeout` seconds.
    """

    def __call__(self, method: str, path: str, body: bytes | None, timeout: float) -> bytes: ...


class Agent:
    """One agent, reached through `send`.

    wait: seconds that one command may take, to stay below the time limit of what `send` goes through (an API server's
    proxy gives up after 30 to 60 seconds); a batch that takes longer is polled.
    """

    def __init__(self, name: str, send: Send, *, wait: float = 20.0, grace: float = 15.0) -> None:
        self.name = name
        self._send = send
        self._wait = wait
        self._grace = grace

    def whoami(self) -> Identity:
        """Who the agent is. Raises AgentError when it speaks another protocol version than this module."""
        said = self._ask("GET", "/whoami", _IDENTITY)
        if said["protocol"] != PROTOCOL:
            raise AgentError(
                f"agent {self.name}: speaks protocol {said['protocol']}, this harness {PROTOCOL}; "
                "deploy the workloads again with this version of the harness"
            )
        return Identity(
            said["pod"], said["namespace"], said["service_account"], said["python"], said["protocol"]
        )

    def clock(self) -> float:
        """What time it is where the agent runs, in seconds since 1970. Raises AgentError."""
        return float(self._ask("GET", "/whoami", _CLOCK)["now"])

    def run(self, batch: Batch) -> Sample:
        """Send a batch and return what its client saw. Raises AgentError."""
        end = time.monotonic() + batch.deadline + self._grace
        said = self._ask("POST", "/batch", _BATCH, _command(batch, min(self._wait, batch.deadline + 2)))
        said = self._awaited(
            said, f"/batch/{quote(said['id'], safe='')}", _BATCH, end, lambda said:
            f"batch {batch.sample}: not done {self._grace:g} s after its deadline of {batch.deadline:g} s: "
            f"sent {said.get('sent')} of {batch.count}")
        return self._sample(batch, said)

    def load(
        self, command: Mapping[str, Any], progress: Callable[[Mapping[str, Any]], object] | None = None
    ) -> dict[str, Any]:
        """Carry out a load (conformance/performance/load/command.py) and return its result. Raises AgentError.

        `progress` is called about every two seconds with the phase, seconds elapsed and left, and counts so far; when
        it raises, the load is ended.
        """
        phases = float(command.get("warmup", 0.0)) + float(command["duration"]) + 2 * float(command.get("timeout", 5.0))
        limit = phases + 30.0 + self._grace + (START_WITHIN if "start" in command else 0.0)
        end = time.monotonic() + limit
        said = self._ask("POST", "/load", _LOAD, command)
        return self._awaited(
            said, f"/load/{quote(said['id'], safe='')}", _LOAD, end, lambda said:
            f"load {said['id']}: not done {limit:g} s after its start: phase {said.get('phase')}, "
            f"{said.get('left')} s left", progress)

    def _awaited(
        self, said: dict[str, Any], path: str, schema: Draft202012Validator, end: float,
        overdue: Callable[[Mapping[str, Any]], str], progress: Callable[[Mapping[str, Any]], object] | None = None,
    ) -> dict[str, Any]:
        """Ask for what was begun until it is done; when it is not by `end`, raise AgentError as `overdue` words it."""
        wait = self._wait if progress is None else min(self._wait, TELL_EVERY)
        while not said["done"]:
            left = end - time.monotonic()
            if left <= 0:
                self._cancel(path)
                raise AgentError(f"agent {self.name}: {overdue(said)}")
            said = self._ask("GET", f"{path}?wait={min(wait, left):.3f}", schema)
            if progress is not None and not said["done"]:
                try:
                    progress(said)
                except BaseException:
                    self._cancel(path)
                    raise
        return said

    def serve(self, port: int, **options: Any) -> None:
        """Start a fast server in the pod (conformance/performance/load/target.py). Raises AgentError.

        `options`: protocol ("http", "tcp"), delay (seconds), rate (answers per second), stall ({"after", "for"}).
        """
        self._ask("POST", "/target", _SERVING, {"port": port, **options})

    def served(self, port: int) -> tuple[int, int]:
        """How many requests a fast server has answered, on how many connections. Raises AgentError."""
        said = self._ask("GET", f"/target/{port}", _SERVED)
        return said["served"], said["connections"]

    def stop_serving(self, port: int) -> None:
        """End a fast server; afterwards its port is free. Raises AgentError."""
        self._ask("DELETE", f"/target/{port}", _ENDED)

    def received(self, sample: str) -> Received:
        """What the agent's pod received of a sample so far. Raises AgentError."""
        said = self._ask("GET", f"/received?sample={quote(sample, safe='')}", _RECEIVED)
        return Received(
            pod=said["pod"],
            sample=sample,
            total=said["total"],
            other=said["other"],
            requests=tuple(_seen(kind) for kind in said["requests"]),
            first=tuple(_seen(kind) for kind in said["first"]),
        )

    def _cancel(self, path: str) -> None:
        # The caller reports why it gave up; the agent ends the batch by itself soon after.
        with contextlib.suppress(Exception):
            self._send("DELETE", path, None, 5.0)

    def _ask(
        self, method: str, path: str, schema: Draft202012Validator, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        asked = f"{method} {path}"
        data = None if body is None else json.dumps(body).encode()
        try:
            answer = self._send(method, path, data, self._wait + 10.0)
        except Exception as error:
            raise AgentError(
                f"agent {self.name}: {asked}: no answer: {type(error).__name__}: {_shorten(str(error))}; "
                "see the pod's status and log"
            ) from error
        try:
            said = json.loads(answer)
        except (ValueError, RecursionError):
            raise AgentError(
                f"agent {self.name}: {asked}: the answer is not JSON: {_shorten(answer)}"
            ) from None
        if isinstance(said, dict) and "error" in said:
            raise AgentError(f"agent {self.name}: {asked}: the agent refused: {_shorten(said['error'])}")
        wrong = best_match(schema.iter_errors(said))
        if wrong is not None:
            raise AgentError(
                f"agent {self.name}: {asked}: unexpected answer at {wrong.json_path}: {_shorten(wrong.message)}"
            )
        checked: dict[str, Any] = said
        return checked

    def _sample(self, batch: Batch, said: dict[str, Any]) -> Sample:
        outcomes = tuple(_outcome(answer) for answer in said["answers"])
        sequence = said["sequence"]
        known = range(len(outcomes))
        if len(sequence) != batch.count or not all(type(code) is int and code in known for code in sequence):
            raise AgentError(
                f"agent {self.name}: batch {batch.sample}: the sequence does not fit {batch.count} requests with "
                f"{len(outcomes)} outcomes: {_shorten(sequence)}"
            )
        local = [answer["detail"] for answer in said["answers"] if answer.get("failure") == "local"]
        if local:
            raise AgentError(
                f"agent {self.name}: batch {batch.sample}: the client pod is at its limits, nothing can be said about "
                f"the mesh: {_shorten(local)}; use less concurrency or kept connections"
            )
        exchanges = []
        for one in said["exchanges"]:
            if one["answer"] not in known or one["index"] >= batch.count:
                raise AgentError(
                    f"agent {self.name}: batch {batch.sample}: exchange of no request: {_shorten(one)}"
                )
            exchanges.append(
                Exchange(
                    index=one["index"],
                    outcome=outcomes[one["answer"]],
                    url=one["url"],
                    seconds=float(one["seconds"]),
                    request=one["request"],
                    response=one["response"],
                )
            )
        return Sample(
            batch=batch,
            outcomes=tuple(outcomes[code] for code in sequence),
            elapsed=float(said["elapsed"]),
            latency=Latency(**{name: said["latency"][name] for name in ("p50", "p99", "max")}),
            exchanges=tuple(exchanges),
        )


def _command(batch: Batch, wait: float) -> dict[str, Any]:
    return {
        "sample": batch.sample,
        "requests": [
            {
                "protocol": request.protocol,
                "url": request.url,
                "method": request.method,
                "headers": [list(pair) for pair in request.headers],
                "body": request.body,
            }
            for request in batch.requests
        ],
        "count": batch.count,
        "concurrency": batch.concurrency,
        "connections": batch.connections,
        "timeout": batch.timeout,
        "deadline": batch.deadline,
        "wait": wait,
    }


def _outcome(said: Mapping[str, Any]) -> Outcome:
    if "failure" in said:
        return Failure(said["failure"], said["detail"])
    return Answer(said["status"], said["pod"], said["namespace"], said["service_account"], said["port"])


def _seen(said: Mapping[str, Any]) -> Seen:
    names = ("protocol", "port", "method", "path", "host", "peer", "version")
    headers = tuple((name, value) for name, value in said.get("headers", ()))
    return Seen(**{name: said[name] for name in names}, count=said.get("count", 1), headers=headers)


def _shorten(value: Any, limit: int = 300) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"


def _object(required: Mapping[str, Any], **optional: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


def _list(items: Any, most: int) -> dict[str, Any]:
    return {"type": "array", "items": items, "maxItems": most}


_TEXT = {"type": "string", "maxLength": 100_000}
_COUNT = {"type": "integer", "minimum": 0}
_SECONDS = {"type": "number", "minimum": 0}
_MAYBE_TEXT = {"type": ["string", "null"], "maxLength": 1000}

_ANSWER = _object(
    {
        "status": {"type": ["integer", "null"], "minimum": 200, "maximum": 999},
        "pod": _MAYBE_TEXT,
        "namespace": _MAYBE_TEXT,
        "service_account": _MAYBE_TEXT,
        "port": {"type": ["integer", "null"], "minimum": 1, "maximum": 65535},
    }
)
_FAILURE = _object({"failure": {"enum": [*sorted(FAILURE_KINDS), "local"]}, "detail": _TEXT})
_EXCHANGE = _object(
    {
        "index": _COUNT,
        "answer": _COUNT,
        "url": _TEXT,
        "seconds": _SECONDS,
        "request": _TEXT,
        "response": _TEXT,
    }
)
_LATENCY = {"type": ["number", "null"], "minimum": 0}
_RESULT = _object(
    {
        "answers": _list({"if": {"required": ["failure"]}, "then": _FAILURE, "else": _ANSWER}, 1000),
        "sequence": {"type": "array"},  # its items, up to a million, are checked by hand
        "elapsed": _SECONDS,
        "latency": _object({"p50": _LATENCY, "p99": _LATENCY, "max": _LATENCY}),
        "exchanges": _list(_EXCHANGE, 100),
    }
)
_BATCH = Draft202012Validator(
    {
        **_object({"done": {"type": "boolean"}, "id": {"type": "string", "minLength": 1, "maxLength": 100}}),
        "if": {"properties": {"done": {"const": True}}},
        "then": _RESULT,
    }
)
_LOAD = Draft202012Validator(
    _object({"done": {"type": "boolean"}, "id": {"type": "string", "minLength": 1, "maxLength": 100}})
)  # the rest is read by conformance.performance.command
_CLOCK = Draft202012Validator(_object({"now": {"type": "number", "minimum": 0, "maximum": 1e11}}))
_SERVING = Draft202012Validator(_object({"port": _COUNT}))
_SERVED = Draft202012Validator(_object({"served": _COUNT, "connections": _COUNT}))
_ENDED = Draft202012Validator(_object({"ok": {"const": True}}))
_KIND = _object(
    {
        "protocol": _TEXT,
        "port": _COUNT,
        "method": _TEXT,
        "path": _TEXT,
        "host": _TEXT,
        "peer": _TEXT,
        "version": _TEXT,
    },
    count=_COUNT,
    headers=_list({"type": "array", "items": _TEXT, "minItems": 2, "maxItems": 2}, 10_000),
)
_RECEIVED = Draft202012Validator(
    _object(
        {
            "pod": _TEXT,
            "total": _COUNT,
            "other": _COUNT,
            "requests": _list(_KIND, 1000),
            "first": _list(_KIND, 100),
        }
    )
)
_IDENTITY = Draft202012Validator(
    _object({"pod": _TEXT, "namespace": _TEXT, "service_account": _TEXT, "python": _TEXT, "protocol": _COUNT})
)
