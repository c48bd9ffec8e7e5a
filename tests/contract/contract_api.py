"""A thin client for the contract: any method, any path, any media type, and the answer as it is."""

from __future__ import annotations

import json
import ssl
import time
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
from kubernetes import client, config

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@dataclass
class Answer:
    status: int
    body: dict
    headers: httpx.Headers

    @property
    def reason(self):
        return self.body.get("reason")

    @property
    def fields(self):
        """The fields that a Status complains of."""
        return {cause["field"] for cause in self.body.get("details", {}).get("causes", ())}


class Api:
    """Speaks to the cluster of a kubeconfig; which cluster that is, the tests do not know."""

    def __init__(self, kubeconfig, token=None):
        """As the user of the kubeconfig, or with another token: an empty one means none at all."""
        settings = client.Configuration()
        config.load_kube_config(str(kubeconfig), client_configuration=settings)
        context = ssl.create_default_context(cafile=settings.ssl_ca_cert)
        if settings.cert_file and token is None:
            context.load_cert_chain(settings.cert_file, settings.key_file)
        own = settings.get_api_key_with_prefix("authorization") or settings.get_api_key_with_prefix("BearerToken")
        credential = own if token is None else token and f"Bearer {token}"
        headers = {"user-agent": "contract/1"} | ({"authorization": credential} if credential else {})
        self.http = httpx.Client(base_url=settings.host, verify=context, headers=headers, trust_env=False, timeout=10)

    def __call__(self, method, path, body=None, *, type="application/json", accept="application/json", **query):  # noqa: A002
        content = body if body is None or isinstance(body, (str, bytes)) else json.dumps(body)
        headers = {"accept": accept} | ({"content-type": type} if body is not None else {})
        answer = self.http.request(method, path, content=content, headers=headers, params=query or None)
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return Answer(answer.status_code, answer.json() if is_json and answer.content else {}, answer.headers)

    def ok(self, method, path, body=None, **options):
        """The same, and it must succeed; gives the object."""
        answer = self(method, path, body, **options)
        assert answer.status < 300, (method, path, answer.body)
        return answer.body

    def apply(self, path, body, manager="contract", **query):
        return self("PATCH", path, body, type=APPLY, fieldManager=manager, **query)

    def gone(self, path, seconds=30.0):
        """Wait until the object is gone."""
        return self.until(path, lambda answer: answer.status == 404, seconds)

    def absent(self, path, seconds=60.0):
        """Delete the object, if there is one, and wait until it is gone."""
        if self("DELETE", path).status != 404:
            self.gone(path, seconds)

    def until(self, path, true, seconds=30.0):
        """The first answer to a GET that is as it should be; fails when there is none in time."""
        end = time.monotonic() + seconds
        while not true(answer := self("GET", path)):
            assert time.monotonic() < end, f"{path} after {seconds} s: {answer.body}"
            time.sleep(0.02)
        return answer

    @staticmethod
    def pause():
        """A moment, for whoever waits for something that no one object shows."""
        time.sleep(0.02)

    @contextmanager
    def watch(self, path, **query):
        """The events of a watch, as an iterator."""
        with self.http.stream("GET", path, params={"watch": "true", "timeoutSeconds": "10", **query}) as answer:
            assert answer.status_code == 200, answer.read()
            yield (json.loads(line) for line in answer.iter_lines())
