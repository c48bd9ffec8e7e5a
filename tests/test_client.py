"""A client turns what its agent and the servers saw into a tally, and tells trouble of ours from the mesh's."""

from __future__ import annotations

import pytest

from conformance.agents import AgentError
from conformance.client import LOOK_TIMEOUT, REQUEST_TIMEOUT, Call, Client, ControlFailed
from conformance.evidence import Evidence
from conformance.expect import Only
from conformance.outcome import Nonconformance, outcome_of
from conformance.service import Service
from conformance.traffic import Answer, Failure, Received, Sample

ROOT = Service("root", "demo", ("root.demo", "root"), frozenset({"v1"}), {})
V1, V2 = Answer(200, "v1-abc", "demo", "v1", 8080), Answer(200, "v2-abc", "demo", "v2", 8080)


class Topology:
    """A mesh that answers as told."""

    class mesh:  # noqa: N801 - stands for an attribute
        convergence = 0.05

    def __init__(self, *outcomes, received=None):
        self.outcomes = outcomes
        self.received_counts = received or {}
        self.sent = []

    def agent(self, _):
        return self

    def await_services(self):
        pass

    def run(self, batch):
        self.sent.append(batch)
        return Sample(batch, tuple(self.outcomes[number % len(self.outcomes)] for number in range(batch.count)))

    def servers(self):
        return {name: _Server(self.received_counts.get(name, 0)) for name in ("v1", "v2")}

    def workload_of(self, pod):
        return pod.split("-")[0] if pod.startswith("v") else None


class _Server:
    def __init__(self, count):
        self.count = count

    def received(self, sample):
        return Received("pod", sample, self.count)


def client(*outcomes, **more):
    return Client("client", Topology(*outcomes, **more), Evidence())


def test_each_request_has_a_connection_of_its_own_and_each_sample_an_id_of_its_own():
    sender = client(V1)
    sender.sees(ROOT, Only(ROOT), requests=10)
    batches = sender._topology.sent
    assert {batch.connections for batch in batches} == {"new"}
    assert len({batch.sample for batch in batches}) == len(batches)
    assert [batch.count for batch in batches] == [20, 20, 20, 10]


def test_a_sample_is_measured_once_and_never_repeated():
    sender = client(V1, received={"v2": 1})
    with pytest.raises(Nonconformance, match="v2 1"):
        sender.sees(ROOT, Only(ROOT), requests=10)
    assert [batch.count for batch in sender._topology.sent] == [20, 20, 20, 10]
    assert sender._evidence.samples[-1].size == 10


def test_what_never_comes_to_be_is_a_nonconformance_with_the_last_look():
    with pytest.raises(Nonconformance) as caught:
        client(V1, V2).sees(ROOT, Only(ROOT))
    assert "10 from v2:8080" in str(caught.value)
    assert "not in effect within 0.05 s" in str(caught.value)


@pytest.mark.parametrize(("outcome", "kind"), [
    (Answer(503), "HTTP 503"), (Answer(200), "HTTP 200"), (Answer(404, "v1-abc", "demo", "v1", 8080), "HTTP 404"),
    (Answer(200, "stranger", "demo", "x", 8080), "HTTP 200"), (Failure("reset"), "reset"), (Answer(None), "garbage"),
])
def test_what_is_no_answer_of_a_sample_workload_is_a_failure(outcome, kind):
    assert client(outcome).probe(Call("root"), 3).failures == {kind: 3}


def test_requests_that_were_never_sent_say_nothing_about_the_mesh():
    with pytest.raises(AgentError, match="could not send"):
        client(V1, Failure("unsent")).probe(Call("root"), 4)
    assert client(Failure("timeout"), Failure("unsent")).probe(Call("root"), 4).failures == {"timeout": 2, "unsent": 2}


def test_a_failed_control_is_an_error():
    with pytest.raises(ControlFailed, match="nothing can be judged") as caught:
        client(V2).control(ROOT)
    assert outcome_of(caught.value, judged=True) == "error"


def test_ipv6_addresses_are_bracketed():
    assert Call("fd00::1").request().url == "http://[fd00::1]:8080/"


FORBIDDEN = Answer(403)


def test_a_denial_is_judged_at_the_servers_and_what_the_client_got_is_recorded():
    sender = client(FORBIDDEN)
    sender.is_denied(ROOT)
    assert sender._evidence.samples[-1].failures == {"HTTP 403": 40}
    with pytest.raises(Nonconformance, match="v1 3"):
        client(FORBIDDEN, received={"v1": 3}).is_denied(ROOT)


def test_what_is_allowed_is_not_denied_and_the_reverse():
    client(V1, received={"v1": 40}).is_allowed(ROOT)
    with pytest.raises(Nonconformance):
        client(V1).is_denied(ROOT)
    with pytest.raises(Nonconformance):
        client(FORBIDDEN).is_allowed(ROOT)


def test_denials_are_not_waited_for_as_long_as_answers_are():
    sender = client(Failure("timeout"))
    sender.is_denied(ROOT, protocol="udp", port=8300)
    sender.is_denied(ROOT)
    assert {batch.timeout for batch in sender._topology.sent} == {0.4, LOOK_TIMEOUT, 2.0}


def test_a_look_does_not_wait_for_long_and_the_sample_does():
    """One request that hangs would otherwise be all that a look within the mesh's limit comes to."""
    sender = client(V1)
    sender.sees(ROOT, Only(ROOT), requests=10)
    *looks, sample = [batch.timeout for batch in sender._topology.sent]
    assert set(looks) == {LOOK_TIMEOUT}
    assert sample == REQUEST_TIMEOUT
