"""Calls of conversion webhooks, which are services of the cluster or servers on loopback."""

from __future__ import annotations

import ipaddress
import ssl
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import httpx

from conformance.sandbox.apiserver.conversion import ConversionError, Webhook
from conformance.sandbox.apiserver.errors import ApiError

if TYPE_CHECKING:
    from conformance.sandbox.apiserver.backends import ServiceResolver
    from conformance.sandbox.apiserver.objects import JSON, Objects

_SECONDS: Final = 30.0


class Webhooks:
    """Asks webhooks; `resolve` finds the address behind a service."""

    def __init__(self, resolve: ServiceResolver | None) -> None:
        self._resolve = resolve
        self._clients: dict[str, httpx.AsyncClient] = {}

    async def close(self) -> None:
        """Close the connections."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def convert(self, webhook: Webhook, objects: Objects, api_version: str) -> Objects:
        """The objects in another version. Raises ApiError 500 when the webhook cannot be asked or answers amiss."""
        about = f"{objects[0].get('apiVersion')}, Kind={objects[0].get('kind')}"
        question = webhook.question(objects, api_version)
        try:
            return webhook.converted(question, (await self._post(webhook, question)).json())
        except (ConversionError, ValueError) as error:
            raise ApiError(500, "", f"conversion webhook for {about} failed: {error}") from error

    async def _post(self, webhook: Webhook, question: JSON) -> httpx.Response:
        """Raises ConversionError when there is no answer or a bad one."""
        doing = f'Post "{webhook.url}?timeout={_SECONDS:g}s"'
        try:
            answer = await self._client(webhook.ca).post(
                self._place(webhook),
                params={"timeout": f"{_SECONDS:g}s"},
                json=question,
                headers={"host": urlsplit(webhook.url).netloc},
                extensions={"sni_hostname": webhook.host},  # the certificate names the service, not its address
            )
        except httpx.HTTPError as error:
            raise ConversionError(f"{doing}: {error or type(error).__name__}") from error
        except ApiError as error:
            raise ConversionError(f"{doing}: {error.message}") from error
        if answer.status_code != 200:
            raise ConversionError(f"{doing}: the server answered {answer.status_code}: {answer.text[:200]}")
        return answer

    def _place(self, webhook: Webhook) -> str:
        """The URL with an address that can be connected to."""
        if webhook.service is None:
            _require_loopback(webhook.host)
            return webhook.url
        if self._resolve is None:
            raise ConversionError("this API server has no node: no service can be reached")
        host, port = self._resolve(*webhook.service)
        return f"https://{host}:{port}{urlsplit(webhook.url).path}"

    def _client(self, ca: str) -> httpx.AsyncClient:
        client = self._clients.get(ca)
        if client is None:
            client = self._clients[ca] = httpx.AsyncClient(
                verify=ssl.create_default_context(cadata=ca or None),
                trust_env=False,  # a proxy of the user's environment must not see the sandbox's traffic
                follow_redirects=False,
                timeout=_SECONDS,
                limits=httpx.Limits(max_keepalive_connections=0),
            )
        return client


def _require_loopback(host: str) -> None:
    try:
        inside = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        inside = False
    if not inside:
        raise ConversionError(f"the sandbox calls no webhook outside loopback, and {host} is none of its addresses")
