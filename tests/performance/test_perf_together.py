"""One load from several pods: shares that add up to it, a common start, and nothing made up for who is missing."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from perf_data import histogram, said

from conformance.agents import AgentError
from conformance.performance.bench import Bench, Effort, judged, merged
from conformance.performance.command import Load, LoadError, parse
from conformance.performance.findings import Findings
from conformance.performance.load.schedule import Schedule
from conformance.performance.paths import DIRECT, path
from conformance.performance.probe import Probe
from conformance.performance.together import Clock, Crew, agreement, as_one
from conformance.performance.validity import gates
from conformance.service import Service

LOAD = Load("http://server.app:8090/", rate=3000.0, seconds=2.0, warmup=0.5, connections=16)
EACH = LOAD.share(0, 3)


class Agent:
    """Answers as an engine that began in time, unless told otherwise; `ahead` is how far its clock is."""

    def __init__(self, name="pod", *, ahead=0.0, late=0.0, broken="", slow=None, result=None):
        self.name, self.ahead, self.late, self.broken, self.slow = name, ahead, late, broken, slow
        self.result = result or {}
        self.command = None

    def clock(self):
        if self.broken == "clock":
            raise AgentError("no answer")
        return time.time() + self.ahead

    def load(self, command, progress):
        self.command = command
        if self.broken == "load":
            raise AgentError("no answer: the pod is gone")
        if self.slow is not None:
            assert self.slow.wait(10)
            progress({"phase": "measuring", "left": 9.0, "rate": 1.0, "errors": 0})
        progress({"phase": "measuring", "left": 1.0, "rate": 999.5, "errors": 2})
        started = command["start"] + command["warmup"] + self.late
        return said(**{"started": started, "engine": {"pacing": "sleep", "arrival": "kernel"}, **self.result})


def crew(*agents):
    return Crew("client", agents, tuple(("app", agent.name) for agent in agents))


def results(count=3, **parts):
    return [parse(said(**parts)) for _ in range(count)]


@pytest.mark.parametrize(("shape", "burst"), [("uniform", 16), ("burst", 5)])
def test_interleaved_schedules_are_the_whole_one(shape, burst):
    load = replace(LOAD, shape=shape, burst=burst, start=100.0)
    whole = Schedule(shape, load.rate, burst).times()
    wanted = [next(whole) for _ in range(30)]
    found = []
    for number in range(3):
        part = load.share(number, 3)
        times = Schedule(shape, part.rate, burst).times()
        found += [round((part.start - load.start) * 1e9) + next(times) for _ in range(10)]
    assert sorted(found) == pytest.approx(wanted, abs=200)  # nanoseconds: a date in seconds is no finer


def test_random_schedules_are_drawn_anew_for_each_pod_and_round():
    shares = [replace(LOAD, shape="poisson", seed=seed, start=1.0).share(number, 3)
              for seed in (1, 2) for number in range(3)]
    assert len({share.seed for share in shares}) == 6
    assert {share.start for share in shares} == {1.0}
    assert {share.requests for share in shares} == {2000.0}


def test_a_share_has_its_part_of_rate_and_connections():
    assert (EACH.rate, EACH.connections, EACH.requests) == (1000.0, 6, 2000.0)
    closed = replace(LOAD, rate=None, connections=32).share(2, 4)
    assert (closed.rate, closed.connections, closed.requests) == (None, 8, None)


def test_pods_are_told_of_one_start_and_their_results_add_up():
    agents = [Agent(f"pod-{number}") for number in range(3)]
    lines = []
    whole = crew(*agents).send(LOAD, lines.append)
    starts = [agent.command["start"] for agent in agents]
    assert [start - starts[0] for start in starts] == pytest.approx([0.0, 1 / 3000, 2 / 3000], abs=1e-5)
    assert starts[0] > time.time() - 60
    assert {agent.command["schedule"]["rate"] for agent in agents} == {1000.0}
    assert (whole.sent, whole.completed, whole.response.count, whole.agents) == (6000, 6000, 6000, {"pod-a": 6000})
    assert whole.response.total == 3 * 2000 * 100_000
    assert (whole.elapsed, whole.late < 0.001, len(whole.workers)) == (2.0, True, 3)
    assert whole.cores == pytest.approx(0.1)  # of the busiest: no core is used by all of them
    assert whole.timeline[0].completed == 1500
    assert lines[0]["phase"] == "measuring"
    assert whole.summary(LOAD, {}).connections == 18


def test_it_is_told_when_they_begin():
    begun = threading.Event()
    told = time.monotonic()
    crew(Agent(), Agent()).send(LOAD, lambda said: None, begun)
    assert begun.is_set()
    assert time.monotonic() - told >= 0.5


def test_nobody_waits_for_a_beginning_that_does_not_come():
    begun = threading.Event()
    with pytest.raises(LoadError):
        crew(Agent(), Agent(broken="load")).send(LOAD, lambda said: None, begun)
    assert begun.is_set()


def test_the_start_is_by_the_pods_clocks_wherever_the_harness_is():
    agents = [Agent(ahead=1000.0), Agent(ahead=1000.002)]
    crew(*agents).send(LOAD, lambda said: None)
    assert agents[0].command["start"] == pytest.approx(time.time() + 1000.5, abs=5)


@pytest.mark.parametrize(("clocks", "offset"), [
    ([Clock(-0.01, 0.03), Clock(0.01, 0.05)], 0.02),
    ([Clock(0.0, 0.001), Clock(0.009, 0.01)], 0.005),
])
def test_clocks_that_may_be_the_same_agree(clocks, offset):
    assert agreement(clocks) == pytest.approx(offset)


def test_clocks_that_differ_are_refused():
    with pytest.raises(LoadError, match=r"load pods 1 and 3 differ by 0\.990 s .*NTP"):
        agreement([Clock(0.0, 0.01), Clock(0.0, 0.02), Clock(1.0, 1.01)])
    with pytest.raises(LoadError, match="the clocks of load pods 1 and 2 differ"):
        crew(Agent(), Agent(ahead=5.0)).send(LOAD, lambda said: None)


@pytest.mark.parametrize(("broken", "message"), [
    ("clock", r"load pod 2 of 3 \(two\) does not say what time it is: no answer"),
    ("load", r"load pod 2 of 3 \(two\) did not carry out its share of the load: no answer: the pod is gone"),
])
def test_a_pod_that_fails_is_named_and_there_is_no_smaller_load(broken, message):
    with pytest.raises(LoadError, match=message):
        crew(Agent("one"), Agent("two", broken=broken), Agent("three")).send(LOAD, lambda said: None)


class Missing(Agent):
    """Is told too late of its first loads."""

    def __init__(self, times):
        super().__init__("slow")
        self.times, self.starts = times, []

    def load(self, command, progress):
        self.starts.append(command["start"] - time.time())
        if len(self.starts) <= self.times:
            return {"done": True, "id": "a", "missed": 0.2}
        return super().load(command, progress)


def test_a_start_that_one_has_missed_is_agreed_on_again_further_ahead():
    slow, other = Missing(2), Agent()
    whole = crew(other, slow).send(LOAD, lambda said: None)
    assert whole.completed == 4000
    assert slow.starts[0] < slow.starts[1] < slow.starts[2]
    assert other.command["start"] == pytest.approx(slow.command["start"], abs=0.001)


def test_a_start_that_is_always_missed_is_an_error():
    with pytest.raises(LoadError, match=r"told of a load in time: load pod 2 of 2 \(slow\) missed the start by 0\.2 s"):
        crew(Agent(), Missing(99)).send(LOAD, lambda said: None)


def test_who_waited_for_the_beginning_is_not_given_another():
    slow, begun = Missing(1), threading.Event()
    with pytest.raises(LoadError, match="missed the start"):
        crew(Agent(), slow).send(LOAD, lambda said: None, begun)
    assert len(slow.starts) == 1


def test_when_one_fails_the_others_are_ended():
    gate = threading.Event()

    class Failing(Agent):
        def load(self, command, progress):
            threading.Timer(0.05, gate.set).start()
            raise AgentError("it died")

    lines = []
    with pytest.raises(LoadError, match="load pod 2 of 2"):
        crew(Agent("one", slow=gate), Failing("two")).send(LOAD, lines.append)
    assert lines == []  # its progress ended the load instead of being told


def test_a_result_that_is_none_is_the_fault_of_its_pod():
    with pytest.raises(LoadError, match=r"load pod 1 of 2 .* wrong at \$\.elapsed"):
        crew(Agent(result={"elapsed": 0}), Agent()).send(LOAD, lambda said: None)


@pytest.mark.parametrize(("change", "message"), [
    ({"rate": 900.0}, "differ in rate: 1000.0 and 900.0"),
    ({"connections": 7}, "differ in connections"),
    ({"url": "http://other.app:8090/"}, "differ in url"),
    ({"seconds": 1.0}, "differ in seconds"),
    ({"keep_alive": False}, "differ in keep_alive"),
])
def test_shares_with_other_settings_are_not_added_up(change, message):
    with pytest.raises(LoadError, match=f"load pods 1 and 3 {message}"):
        as_one([EACH, EACH, replace(EACH, **change)], results())


@pytest.mark.parametrize(("parts", "name"), [
    ({"engine": {"pacing": "sleep", "arrival": "process"}}, "arrival"),
    ({"engine": {"pacing": "spin", "arrival": "kernel"}}, "pacing"),
    ({"timeline": {"interval": 1.0, "rows": []}}, "interval"),
])
def test_pods_that_measure_in_another_way_are_not_added_up(parts, name):
    alike = results(2, engine={"pacing": "sleep", "arrival": "kernel"})
    other = parse(said(**{"engine": {"pacing": "sleep", "arrival": "kernel"}, **parts}))
    with pytest.raises(LoadError, match=f"load pods 1 and 3 differ in {name}"):
        as_one([EACH] * 3, [*alike, other])


@pytest.mark.parametrize(("loads", "found"), [(3, 2), (0, 0)])
def test_a_missing_pod_is_no_result(loads, found):
    with pytest.raises(LoadError, match=f"{found} of {loads} load pods"):
        as_one([EACH] * loads, results(found))


def closed(whole, **more):
    return [(found.gate, found.where) for found in gates(LOAD, whole, where="both", **more)]


def test_undisturbed_pods_pass_the_gates():
    assert closed(as_one([EACH] * 3, results())) == []


@pytest.mark.parametrize(("gate", "parts"), [
    ("achieved rate", {"sent": 1950}),
    ("dropped requests", {"unsent": 3}),
    ("errors", {"errors": {"reset": 5}}),
    ("client CPU", {"cpu": {"user": 1.0, "system": 0.6}}),
    ("schedule lag", {"lag": histogram(50_000, 2_000_000, times=1000).to_json()}),
])
def test_one_pod_that_did_not_do_its_share_is_found_among_others_that_did(gate, parts):
    whole = as_one([EACH] * 3, [*results(2), parse(said(**parts))])
    assert (gate, "both, load pod 3 of 3") in closed(whole)


def test_what_all_of_them_have_is_said_once():
    late = histogram(50_000, 2_000_000, times=1000).to_json()
    assert closed(as_one([EACH] * 3, results(lag=late))) == [("schedule lag", "both")]


def test_the_busiest_node_is_the_one_that_counts():
    calm = {"node": {"busy": 0.4, "steal": 0.0}}
    whole = as_one([EACH] * 3, [*results(2, **calm), parse(said(node={"busy": 0.99, "steal": 0.05}))])
    assert closed(whole) == [("steal", "both"), ("node CPU", "both")]
    assert as_one([EACH] * 2, results(2, node=None)).busy is None


def test_a_pod_that_began_late_closes_a_gate():
    whole = crew(Agent(), Agent(late=0.2), Agent()).send(LOAD, lambda said: None)
    assert closed(whole) == [("common start", "both, load pod 2 of 3")]
    assert "0.200 s late, allowed 0.100 s" in str(gates(LOAD, whole)[0])
    assert closed(crew(Agent(), Agent(late=0.09), Agent()).send(LOAD, lambda said: None)) == []


def test_rounds_of_several_pods_are_judged_pod_by_pod():
    rounds = [as_one([EACH] * 3, results()) for _ in range(4)]
    whole = merged(rounds)
    assert ([worker.completed for worker in whole.workers], whole.completed) == ([8000] * 3, 24_000)
    assert closed(whole, loads=4) == []
    short = merged([*rounds[:3], as_one([EACH] * 3, [*results(2), parse(said(sent=1500))])])
    assert closed(short, loads=4) == [("achieved rate", "both"), ("achieved rate", "both, load pod 3 of 3")]


def test_rounds_of_different_numbers_of_pods_are_not_added_up():
    with pytest.raises(ValueError, match="shorter"):
        merged([as_one([EACH] * 3, results()), as_one([EACH] * 2, results(2))])


def test_a_slow_rate_is_not_short_by_a_fraction_of_a_request():
    load = Load("http://server.app:8090/", rate=10.0, seconds=1.0, warmup=0.2)
    part = load.share(0, 3)
    assert part.requests == 3.0
    each = histogram(100_000, times=3).to_json()
    slow = {"sent": 3, "completed": 3, "scheduled": 3, "service": each, "response": each, "lag": each}
    whole = as_one([part] * 3, results(**slow))
    assert [found.gate for found in gates(load, whole)] == []


class Topology:
    def in_mesh(self, name):
        return False

    def service(self, name):
        return Service(name, "app", (f"{name}.app",), frozenset([name]), {"workload": name}, {"http": (8080, 8080)})

    def pod(self, workload):
        return type("Pod", (), {"namespace": "app", "name": f"{workload}-1"})()


def test_a_bench_lets_the_load_pods_send():
    topology, agents = Topology(), [Agent("one"), Agent("two")]
    bench = Bench(topology, Effort(1, 2.0, 2000.0), Findings(Probe("a-probe", "A probe")), lambda line: None,
                  {"plain-client": crew(*agents)})
    measured = bench.run(path(topology, DIRECT))
    assert (measured.result.completed, agents[1].command["schedule"]["rate"]) == (4000, 1000.0)
    assert judged([measured])[1] == ()
    assert bench.pods("plain-client") == {("app", "one"), ("app", "two")}
    assert bench.pods("server") == {("app", "server-1")}
