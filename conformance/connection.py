"""Calls to an API server over one pool of connections: what is waited out, what is an error, what comes as a stream.

Who asks, and where the API server is, is added to each call by whoever opens the connection.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import urllib3

from conformance.cluster_errors import CONNECT_TIMEOUT, Away, ClusterError, refusal, trouble, unanswered

USER_AGENT: Final = "mesh-conformance"
READ_TIMEOUT: Final = 30.0
"""Seconds that each part of an answer may take."""
PATIENCE: Final = 20.0
"""Seconds that throttling and passing server errors are waited out, over all tries of a call."""

Sign = Callable[[str, str, Mapping[str, str]], tuple[str, Mapping[str, str]]]
"""Gives the URL and the headers of a call, made of its method, path and plain headers."""


class Connection:
    """Sends requests to one API server, from any number of threads."""

    def __init__(self, pool: urllib3.PoolManager, sign: Sign) -> None:
        self._pool = pool
        self._sign = sign
        self._answered = False

    @property
    def proxy(self) -> str:
        """The proxy through which the API server is asked; empty where there is none."""
        return str(getattr(self._pool, "proxy", None) or "")

    def request(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None,
        content_type: str = "application/json", timeout: float | None = None, doing: str = "",
        patience: float | None = None,
    ) -> bytes:
        """Send one request and return the body of the answer, waiting `timeout` seconds for each part of it.

        Throttling (429, after its Retry-After) and, where repeating is harmless, passing server errors are
        waited out for at most `patience` seconds (PATIENCE); so is an API server that is away after it has answered
        before, as while it is restarted. Raises ClusterError or one of its subclasses.
        """
        doing = doing or f"{method} {path}"
        timeout = READ_TIMEOUT if timeout is None else timeout
        until = time.monotonic() + (PATIENCE if patience is None else patience)
        pause = 0.1
        while True:
            delay = pause
            try:
                status, headers, data = self._send(method, path, query, body, content_type, timeout, doing)
            except Away as error:
                if not self._answered or (error.sent and method != "GET"):
                    raise
                if time.monotonic() + delay > until:
                    # One that stays away is waited for once, not by everybody who asks from then on.
                    self._answered = patience is not None
                    raise
            else:
                self._answered = True
                if status < 400:
                    return data
                delay = max(pause, _retry_after(headers))
                again = status == 429 or (status in (500, 502, 503, 504) and method == "GET")
                if not again or time.monotonic() + delay > until:
                    raise refusal(doing, status, data)
            time.sleep(delay)
            pause = min(2 * pause, 2.0)

    def json(self, method: str, path: str, **parts: Any) -> dict[str, Any]:
        """Send one request, with the arguments of `request`, and parse its JSON answer. Raises ClusterError."""
        data = self.request(method, path, **parts)
        try:
            answer = json.loads(data)
        except ValueError as error:
            found = "the answer is not JSON. Is this a Kubernetes API server?"
            raise ClusterError(f"{method} {path}", found) from error
        if not isinstance(answer, dict):
            raise ClusterError(f"{method} {path}", f"the answer is a {type(answer).__name__}, not an object")
        return answer

    def stream(self, path: str, *, query: Mapping[str, str], timeout: float, doing: str) -> Generator[Any, None, None]:
        """Yield what each line of an answer says, in JSON, as it comes; none may take longer than `timeout` seconds.

        Nothing is tried twice. Raises ClusterError or one of its subclasses.
        """
        response = self._open("GET", path, query, None, "", timeout, doing)
        try:
            if response.status >= 400:
                raise refusal(doing, response.status, response.read())
            for line in _lines(response):
                yield json.loads(line)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise ClusterError(doing, trouble(error, timeout)) from error
        finally:
            response.close()

    def _send(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Any, content_type: str,
        timeout: float, doing: str,
    ) -> tuple[int, Mapping[str, str], bytes]:
        response = self._open(method, path, query, body, content_type, timeout, doing)
        try:
            return response.status, response.headers, response.read()
        except urllib3.exceptions.HTTPError as error:
            raise unanswered(doing, error, timeout) from error
        finally:
            response.release_conn()

    def _open(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Any, content_type: str,
        timeout: float, doing: str,
    ) -> urllib3.BaseHTTPResponse:
        headers = {"Accept": "application/json", "User-Agent": USER_AGENT}
        if body is not None:
            headers["Content-Type"] = content_type
        url, signed = self._sign(method, f"{path}?{urlencode(query)}" if query else path, headers)
        payload = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        try:
            return self._pool.request(
                method, url, body=payload, headers=signed, preload_content=False, redirect=False, retries=False,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=timeout),
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise unanswered(doing, error, timeout) from error


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return float(headers.get("Retry-After", "0"))
    except ValueError:
        return 0.0


def _lines(response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    rest = b""
    for chunk in response.stream(65536, decode_content=True):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())
