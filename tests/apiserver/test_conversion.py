"""Conversion of custom resources: what a webhook is asked, what its answer may be, and where it is looked for."""

from __future__ import annotations

import asyncio
import copy

import pytest

from conformance.sandbox.apiserver import ApiError, Store
from conformance.sandbox.apiserver.conversion import ConversionError, Webhook, problems
from conformance.sandbox.apiserver.resources import CRDS, NAMESPACES
from conformance.sandbox.apiserver.versions import Versions
from conformance.sandbox.apiserver.webhooks import Webhooks

OLD, NEW = "x.org/v1beta1", "x.org/v1"


def conversion(client=None, versions=("v1",)):
    client = client or {"service": {"name": "hook", "namespace": "demo", "path": "/convert", "port": 8443}}
    return {"strategy": "Webhook", "webhook": {"clientConfig": client, "conversionReviewVersions": list(versions)}}


def definition(**more):
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    versions = [{"name": name, "served": True, "storage": name == "v1", "schema": schema} for name in ("v1", "v1beta1")]
    return {"metadata": {"name": "things.x.org"}, "spec": {
        "group": "x.org", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
        "versions": versions, "conversion": conversion(), **more}}  # fmt: skip


def webhook(**more):
    return Webhook.of({"spec": {"conversion": conversion(**more)}})


def thing(name="one", version=OLD, **content):
    meta = {"name": name, "namespace": "demo", "uid": "u", "labels": {"a": "1"}, "resourceVersion": "7"}
    return {"apiVersion": version, "kind": "Thing", "metadata": meta, **content}


def proper(question):
    made = copy.deepcopy(question["request"]["objects"])
    for obj in made:
        obj["apiVersion"] = question["request"]["desiredAPIVersion"]
    response = {"uid": question["request"]["uid"], "result": {"status": "Success"}, "convertedObjects": made}
    return {"apiVersion": question["apiVersion"], "kind": "ConversionReview", "response": response}


def test_where_a_webhook_is():
    made = webhook()
    assert (made.url, made.host) == ("https://hook.demo.svc:8443/convert", "hook.demo.svc")
    assert made.service == ("demo", "hook", 8443)
    outside = webhook(client={"url": "https://127.0.0.1:9443/x"})
    assert (outside.url, outside.host, outside.service) == ("https://127.0.0.1:9443/x", "127.0.0.1", None)
    assert Webhook.of({"spec": {"conversion": {"strategy": "None"}}}) is None


def test_the_first_review_version_that_is_known_is_spoken():
    assert webhook(versions=("v7", "v1beta1", "v1")).question([], NEW)["apiVersion"] == "apiextensions.k8s.io/v1beta1"


def test_metadata_comes_back_as_it_was_but_for_labels_and_annotations():
    made = webhook()
    question = made.question([thing()], NEW)
    answer = proper(question)
    meta = answer["response"]["convertedObjects"][0]["metadata"]
    meta.update(labels={"b": "2"}, annotations={"c": "3"}, resourceVersion="999", finalizers=["mine"])
    (found,) = made.converted(question, answer)
    assert found["metadata"] == {
        "name": "one", "namespace": "demo", "uid": "u", "resourceVersion": "7", "labels": {"b": "2"},
        "annotations": {"c": "3"},
    }  # fmt: skip


def spoil(path, value):
    def change(answer):
        *way, last = path
        place = answer
        for part in way:
            place = place[part]
        place[last] = value

    return change


FIRST = ("response", "convertedObjects", 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (spoil(("kind",), "Other"), "expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview"),
        (spoil(("response",), None), "no response provided"),
        (spoil(("response", "uid"), "other"), r'expected response.uid=".*", got "other"'),
        (spoil(("response", "result"), {"status": "Failed", "message": "because"}), "because"),
        (spoil(("response", "result"), {}), "response.result.status was '', not 'Success'"),
        (spoil(("response", "convertedObjects"), []), "returned 0 objects, expected 1"),
        (spoil(FIRST, "text"), "index 0: it is no object"),
        (spoil((*FIRST, "apiVersion"), OLD), "invalid groupVersion"),
        (spoil((*FIRST, "kind"), "Other"), "must have the same kind"),
        (spoil((*FIRST, "metadata", "name"), "b"), "must have the same name: one != b"),
        (spoil((*FIRST, "metadata", "namespace"), "b"), "must have the same namespace"),
        (spoil((*FIRST, "metadata", "uid"), "b"), "must have the same UID"),
        (spoil((*FIRST, "metadata"), None), "missing metadata"),
        (spoil((*FIRST, "metadata", "labels"), {"a": 1}), "metadata.labels must be a map of strings"),
    ],
)
def test_answers_that_are_none(change, words):
    made = webhook()
    question = made.question([thing()], NEW)
    answer = proper(question)
    change(answer)
    with pytest.raises(ConversionError, match=words):
        made.converted(question, answer)


def test_the_old_review_checks_neither_kind_nor_uid():
    made = webhook(versions=("v1beta1",))
    question = made.question([thing()], NEW)
    answer = proper(question)
    answer["response"]["uid"] = answer["kind"] = "other"
    assert made.converted(question, answer)[0]["apiVersion"] == NEW


@pytest.mark.parametrize(
    ("client", "field"),
    [
        ({"service": {"name": "a"}}, "service.namespace"),
        ({"service": {"name": "a", "namespace": "b", "port": 0}}, "service.port"),
        ({"url": "https:///x"}, "url"),
        ({"url": "https://a/x", "caBundle": "bm90IGEgY2VydA=="}, "caBundle"),
    ],
)
def test_client_configurations_that_lead_nowhere(client, field):
    (cause,) = problems(conversion(client))
    assert cause.field == f"spec.conversion.webhookClientConfig.{field}"


# --- in the store


class Hook(Webhooks):
    """Converts in this process; `between` happens while it is at it."""

    def __init__(self):
        super().__init__(None)
        self.asked = []
        self.between = lambda: None

    async def convert(self, webhook, objects, api_version):
        question = webhook.question(objects, api_version)
        self.asked.append([obj["metadata"]["name"] for obj in objects])
        await asyncio.sleep(0)
        self.between()
        return webhook.converted(question, proper(question))


@pytest.fixture
def store():
    made = Store()
    made.create(NAMESPACES, {"metadata": {"name": "demo"}})
    made.create(CRDS, definition())
    return made


@pytest.fixture
def hook():
    return Hook()


@pytest.fixture
def versions(store, hook):
    return Versions(store, hook)


def new(name="one", **content):
    return {"metadata": {"name": name}, **content}


def test_a_list_is_one_question(store, hook, versions):
    stored = store.resource(NEW, "Thing")
    for name in ("a", "b", "c"):
        store.create(stored, new(name), "demo")
    found = asyncio.run(versions.select(store.resource(OLD, "Thing"), "demo", fields="metadata.name!=b"))
    assert [obj["metadata"]["name"] for obj in found] == ["a", "c"]
    assert hook.asked == [["a", "b", "c"]]
    hook.asked.clear()
    asyncio.run(versions.select(stored, "demo"))
    assert hook.asked == [], "what is stored in the wanted version needs no conversion"


def test_only_requests_can_wait_for_a_webhook(store):
    store.create(store.resource(NEW, "Thing"), new(), "demo")
    with pytest.raises(ApiError, match="converted by a webhook") as refused:
        store.get(store.resource(OLD, "Thing"), "one", "demo")
    assert refused.value.code == 500


def test_what_follows_from_deletions_needs_no_webhook(store, hook, versions):
    asyncio.run(versions.create(store.resource(OLD, "Thing"), new(), "demo"))
    hook.asked.clear()
    store.delete(NAMESPACES, "demo")
    store.delete(CRDS, "things.x.org")
    assert hook.asked == []
    with pytest.raises(ApiError, match="could not find"):
        store.resource(NEW, "Thing")


def test_another_write_meanwhile(store, hook, versions):
    stored, old = store.resource(NEW, "Thing"), store.resource(OLD, "Thing")
    made = asyncio.run(versions.create(old, new(size=1), "demo"))
    writes = iter(range(100))

    def meanwhile():
        if hook.asked and next(writes) == 1:
            store.modify(stored, "one", "demo", lambda obj: obj.update(colour="red"))

    hook.between = meanwhile
    changed = {**made, "size": 2, "metadata": {**made["metadata"]}}
    with pytest.raises(ApiError, match="has been modified"):
        asyncio.run(versions.update(old, changed))
    writes = iter(range(100))
    del changed["metadata"]["resourceVersion"]
    assert asyncio.run(versions.update(old, changed))["size"] == 2, "who names no revision wins in the end"


def test_two_creations_at_once(store, hook, versions):
    old = store.resource(OLD, "Thing")
    again = iter([True])

    def meanwhile():
        if next(again, False):
            store.create(store.resource(NEW, "Thing"), new(), "demo")

    hook.between = meanwhile
    with pytest.raises(ApiError, match="already exists"):
        asyncio.run(versions.create(old, new(), "demo"))


def test_a_dry_run_converts_and_stores_nothing(store, hook, versions):
    old = store.resource(OLD, "Thing")
    made = asyncio.run(versions.create(old, new(), "demo", dry_run=True))
    assert made["apiVersion"] == OLD
    assert hook.asked == [["one"], ["one"]]
    with pytest.raises(ApiError, match="not found"):
        store.stored(old, "one", "demo")


@pytest.mark.parametrize(
    ("client", "words"),
    [
        ({"url": "https://example.org/convert"}, "no webhook outside loopback"),
        ({"url": "https://127.0.0.1:1/convert"}, r'Post "https://127.0.0.1:1/convert\?timeout=30s"'),
        (None, "this API server has no node"),
    ],
)
def test_a_webhook_that_cannot_be_asked(client, words):
    async def ask():
        webhooks = Webhooks(None)
        try:
            await webhooks.convert(webhook(client=client), [thing()], NEW)
        finally:
            await webhooks.close()

    with pytest.raises(ApiError, match=words) as refused:
        asyncio.run(ask())
    assert refused.value.code == 500
    assert refused.value.message.startswith("conversion webhook for x.org/v1beta1, Kind=Thing failed: ")
    assert "reason" not in refused.value.status()


def test_a_service_without_endpoints_is_named():
    def resolve(namespace, name, port):
        raise ApiError(503, "ServiceUnavailable", f'no endpoints available for service "{name}"')

    with pytest.raises(ApiError, match=r'hook\.demo\.svc:8443/convert.*: no endpoints available for service "hook"'):
        asyncio.run(Webhooks(resolve).convert(webhook(), [thing()], NEW))
