"""The harness's side of the agent's protocol: what it asks, and that it believes nothing unchecked."""

import json
import time

import pytest

from conformance.agents import Agent, AgentError
from conformance.traffic import Answer, Batch, Failure, Received, Request, Seen

BATCH = Batch("a-sample", (Request("http://one"), Request("http://two", headers=(("a", "b"),))), count=4)
V1 = {"status": 200, "pod": "v1", "namespace": "demo", "service_account": "sa", "port": 8080}
V2 = {**V1, "pod": "v2"}
REFUSED = {"failure": "refused", "detail": "Connection refused"}
RESULT = {
    "done": True,
    "id": "7",
    "answers": [V1, V2, REFUSED],
    "sequence": [0, 1, 0, 2],
    "elapsed": 0.5,
    "latency": {"p50": 0.1, "p99": 0.2, "max": 0.3},
    "exchanges": [{"index": 1, "answer": 1, "url": "http://two", "seconds": 0.1, "request": "GET", "response": "HTTP"}],
}
PENDING = {"done": False, "id": "7", "sent": 2, "count": 4}
KIND = {"protocol": "http", "port": 80, "method": "GET", "path": "/", "host": "h", "peer": "10.0.0.1", "version": "1.1"}
RECEIVED = {
    "pod": "v1",
    "total": 5,
    "other": 1,
    "requests": [{**KIND, "count": 4}],
    "first": [{**KIND, "headers": [["a", "b"]]}],
}


class Script:
    """A `send` that answers with what a test prepared, and remembers what was asked."""

    def __init__(self, *answers, then=None):
        self.answers, self.then = list(answers), then
        self.asked = []

    def __call__(self, method, path, body, timeout):
        self.asked.append((method, path, body and json.loads(body), timeout))
        answer = self.answers.pop(0) if self.answers else self.then
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()


def run(*answers, batch=BATCH, **options):
    return Agent("client-1", Script(*answers), **options).run(batch)


def test_a_sample_in_the_order_of_the_requests():
    sample = run(RESULT)
    v1, v2 = Answer(200, "v1", "demo", "sa", 8080), Answer(200, "v2", "demo", "sa", 8080)
    refused = Failure("refused", "Connection refused")
    assert sample.outcomes == (v1, v2, v1, refused)
    assert [(request.url, outcome) for request, outcome in sample][3] == ("http://two", refused)
    assert (sample.answers, sample.failures, len(sample)) == ((v1, v2, v1), (refused,), 4)
    assert sample.counts == {v1: 2, v2: 1, refused: 1}
    assert sample.counts_by() == {"v1": 2, "v2": 1}
    assert sample.counts_by("status") == {200: 3}
    assert sample.counts_by(lambda answer: answer.pod[0]) == {"v": 3}
    assert sample.exchanges[0].outcome == v2
    assert sample.latency.p99 == 0.2
    assert str(v1) == "200 from v1:8080"
    assert str(refused) == "refused (Connection refused)"


def test_the_part_of_a_sample_that_is_one_request():
    sample = run(RESULT)
    first, second = sample.of(0), sample.of(1)
    assert first.counts_by() == {"v1": 2}
    assert [type(outcome).__name__ for outcome in second.outcomes] == ["Answer", "Failure"]
    assert (first.exchanges, len(second.exchanges)) == ((), 1)
    assert second.batch.requests == (BATCH.requests[1],)
    assert sample.of(-1).outcomes == second.outcomes
    with pytest.raises(IndexError):
        sample.of(2)


def test_what_a_batch_asks():
    send = Script(RESULT)
    Agent("client-1", send).run(BATCH)
    method, path, command, timeout = send.asked[0]
    assert (method, path) == ("POST", "/batch")
    assert command["requests"][1] == {
        "protocol": "http",
        "url": "http://two",
        "method": "GET",
        "headers": [["a", "b"]],
        "body": "",
    }
    assert (command["count"], command["sample"], command["connections"]) == (4, "a-sample", "new")
    assert command["wait"] < timeout


def test_a_batch_that_takes_long_is_polled():
    send = Script(PENDING, PENDING, RESULT)
    assert len(Agent("client-1", send, wait=3).run(BATCH)) == 4
    assert [asked[:2] for asked in send.asked[1:]] == [("GET", "/batch/7?wait=3.000")] * 2


def test_a_batch_that_never_ends_is_cancelled_and_an_error():
    send = Script(then=PENDING)
    batch = Batch("endless", (Request("http://one"),), count=4, deadline=0.05)
    begin = time.monotonic()
    with pytest.raises(AgentError, match=r"agent client-1: batch endless: not done 0.05 s after its deadline.*2 of 4"):
        Agent("client-1", send, wait=0.01, grace=0.05).run(batch)
    assert time.monotonic() - begin < 2
    assert send.asked[-1][:2] == ("DELETE", "/batch/7")


def changed(**changes):
    return {**RESULT, **changes}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (ConnectionResetError("reset by peer"), "no answer: ConnectionResetError: reset by peer; see the pod's status"),
        (b"upstream connect error", "the answer is not JSON: .*upstream connect error"),
        (b"[" * 100_000, "the answer is not JSON"),
        (b"\xff\xfe", "the answer is not JSON"),
        ({"error": "count must be a number"}, "the agent refused: count must be a number"),
        ([], "unexpected answer at"),
        ({"done": True}, "'id' is a required property"),
        (changed(id=5), r"at \$.id: 5 is not of type 'string'"),
        (changed(done="yes"), r"at \$.done"),
        (changed(sequence=[0, 1]), "the sequence does not fit 4 requests with 3 outcomes"),
        (changed(sequence=[0, 1, 2, 3]), "the sequence does not fit"),
        (changed(sequence=[0, 1, 2, -1]), "the sequence does not fit"),
        (changed(sequence=[0, 1, 2, True]), "the sequence does not fit"),
        (changed(sequence={"0": 1}), r"at \$.sequence"),
        (changed(answers=[{**V1, "pod": 5}, V2, REFUSED]), r"at \$.answers\[0\].pod"),
        (changed(answers=[{**V1, "status": "200"}, V2, REFUSED]), r"at \$.answers\[0\].status"),
        (changed(answers=[V1, V2, {"failure": "strange", "detail": ""}]), r"at \$.answers\[2\].failure"),
        (changed(answers=[V1] * 1001), r"at \$.answers"),
        (changed(answers=[V1, V2, {"failure": "local", "detail": "Too many open files"}]), "at its limits.*Too many"),
        (changed(elapsed=-1), r"at \$.elapsed"),
        (changed(latency={}), r"at \$.latency"),
        (changed(exchanges=[{**RESULT["exchanges"][0], "answer": 9}]), "exchange of no request"),
        (changed(exchanges=[{**RESULT["exchanges"][0], "index": 4}]), "exchange of no request"),
        (changed(exchanges=[{**RESULT["exchanges"][0], "request": "x" * 200_000}]), r"at \$.exchanges\[0\].request"),
    ],
)
def test_an_unexpected_answer_is_an_error_of_the_harness(answer, message):
    with pytest.raises(AgentError, match=r"(?s)agent client-1: .*" + message) as caught:
        run(answer)
    assert len(str(caught.value)) < 1000
    assert not isinstance(caught.value, AssertionError)


def test_a_poll_that_answers_nonsense_is_an_error():
    with pytest.raises(AgentError, match=r"GET /batch/7.*not JSON"):
        run(PENDING, b"<html>")


def test_received():
    send = Script(RECEIVED)
    received = Agent("v1", send).received("a sample?&/")
    assert send.asked[0][1] == "/received?sample=a%20sample%3F%26%2F"
    seen = Seen("http", 80, "GET", "/", "h", "10.0.0.1", "1.1", 4)
    assert received == Received(
        "v1", "a sample?&/", 5, 1, (seen,), (Seen("http", 80, "GET", "/", "h", "10.0.0.1", "1.1", 1, (("a", "b"),)),)
    )
    sample = run(RESULT).with_received([received])
    assert sample.received["v1"].total == 5
    with pytest.raises(TypeError):
        sample.received["v2"] = received


@pytest.mark.parametrize(
    "change", [{"total": -1}, {"pod": None}, {"requests": [{}]}, {"first": [{**KIND, "headers": [["a"]]}]}]
)
def test_received_is_checked(change):
    with pytest.raises(AgentError, match="unexpected answer at"):
        Agent("v1", Script({**RECEIVED, **change})).received("a")


def test_whoami_and_the_version_of_the_protocol():
    said = {"pod": "v1", "namespace": "n", "service_account": "s", "python": "3.12.1", "protocol": 1, "more": []}
    assert Agent("v1", Script(said)).whoami().python == "3.12.1"
    with pytest.raises(AgentError, match="speaks protocol 2, this harness 1; deploy the workloads again"):
        Agent("v1", Script({**said, "protocol": 2})).whoami()


@pytest.mark.parametrize("now", [None, "noon", -1, 1e12])
def test_what_time_it_is_is_checked(now):
    assert Agent("v1", Script({"now": 1.8e9})).clock() == 1.8e9
    with pytest.raises(AgentError, match=r"unexpected answer at \$\.now"):
        Agent("v1", Script({"now": now})).clock()


@pytest.mark.parametrize(
    "change",
    [{"sample": ""}, {"sample": "a,b"}, {"sample": "ü"}, {"requests": ()}, {"count": 0}, {"concurrency": 0},
     {"timeout": 0}, {"deadline": -1}],
)  # fmt: skip
def test_a_batch_that_makes_no_sense_is_not_made(change):
    complete = {"sample": "s", "requests": (Request("http://x"),), "count": 1}
    with pytest.raises(ValueError, match=r"sample|batch"):
        Batch(**{**complete, **change})
