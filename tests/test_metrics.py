"""What a mesh reports is read whatever it is, and compared with what was sent: every judgement can fail."""

from __future__ import annotations

import datetime as dt
import time
from fractions import Fraction

import pytest

from conformance import metrics_api
from conformance.cluster import ClusterError, NotFound
from conformance.evidence import Evidence
from conformance.meter import FAILING, OK, Count, Meter, check_latencies
from conformance.metrics import PERCENTILES, busiest, check_object, check_values, quantity, read, read_list, window
from conformance.metrics_api import Availability, MetricsApi, Subject
from conformance.outcome import Nonconformance
from conformance.service import Service
from conformance.traffic import Answer, Latency, Sample

NOW = dt.datetime(2026, 11, 21, 12, 0, 0, tzinfo=dt.UTC)
FIGURES = {"p99_response_latency": "210m", "p90_response_latency": "205m", "p50_response_latency": "2m",
           "success_count": "120", "failure_count": "40"}


def entries(unit="seconds", **changes):
    return [{"name": name, "value": value} | ({"unit": unit} if "latency" in name else {})
            for name, value in (FIGURES | changes).items() if value is not None]


def obj(**changes):
    return {"kind": "TrafficMetrics", "resource": {"kind": "Pod", "name": "web", "namespace": "demo"},
            "edge": {"direction": "from", "side": "server", "resource": {}}, "timestamp": "2026-11-21T12:00:01Z",
            "window": "30s", "metrics": entries()} | changes


# --- reading ---


def test_object_is_read():
    item = read(obj())
    assert (item.counts, item.total, item.peer.name) == ((120, 40), 160, "")
    assert item.latency("p99_response_latency") == pytest.approx(0.21)
    check_object(item, now=NOW)
    check_values(item)


@pytest.mark.parametrize(("text", "value"), [("10m", Fraction(1, 100)), ("100", 100), ("1k", 1000), ("1e2", 100),
                                             (".5", Fraction(1, 2)), ("2Ki", 2048), ("3u", Fraction(3, 10**6)),
                                             ("2T", 2 * 10**12), ("1Ti", 2**40), ("1E", 10**18),
                                             ("1E-1", Fraction(1, 10)), ("1.5Pi", 3 * 2**49)])
def test_quantities(text, value):
    assert quantity(text) == value


@pytest.mark.parametrize("text", ["", "ten", "1.2.3", "1 m", "m", "1" * 50, "None", "٣"])
def test_what_is_no_quantity(text):
    with pytest.raises(ValueError, match="is not a quantity"):
        quantity(text)


@pytest.mark.parametrize(("text", "seconds"), [("30s", 30), ("1m", 60), ("1h0m30.5s", 3630.5), ("", None), ("0s", None),
                                               ("soon", None), (30, None), (None, None)])
def test_windows(text, seconds):
    assert window({"window": text}) == seconds


@pytest.mark.parametrize("answer", [None, [], "x", {}, {"metrics": None}, {"metrics": 7}])
def test_what_is_no_object_is_a_nonconformance(answer):
    with pytest.raises(Nonconformance, match="a TrafficMetrics object"):
        read(answer)


@pytest.mark.parametrize("answer", [{}, {"kind": "Status"}, {"kind": "TrafficMetricsList", "items": {}},
                                    {"kind": "TrafficMetricsList", "items": ["x"]}])
def test_what_is_no_list_is_a_nonconformance(answer):
    with pytest.raises(Nonconformance):
        read_list(answer)


@pytest.mark.parametrize("broken", [{"edge": None}, {"edge": {"resource": None}}, {"resource": "web"},
                                    {"metrics": [None]}, {"metrics": ["x", {"name": 5}]}, {"backend": "x"}])
def test_odd_parts_do_not_crash_the_reading(broken):
    item = read(obj(**broken))
    assert item.shown()
    assert item.backend is None


@pytest.mark.parametrize("broken", [{"edge": None}, {"resource": "web"}, {"metrics": [None]}, {"metrics": ["x"]}])
def test_odd_parts_are_refused(broken):
    with pytest.raises(Nonconformance):
        check_object(read(obj(**broken)), now=NOW)


@pytest.mark.parametrize(("change", "why"), [
    ({"kind": "Pod"}, "kind"), ({"resource": {"kind": "Pod"}}, "resource has no"), ({"window": "soon"}, "window"),
    ({"edge": {"direction": "from", "resource": {}}}, "edge has no"), ({"timestamp": None}, "timestamp"),
    ({"timestamp": "0001-01-01T00:00:00Z"}, "timestamp"), ({"timestamp": "2026-11-21 12:00:01"}, "timestamp"),
    ({"metrics": []}, "entry of metrics"), ({"metrics": [{"name": "x"}]}, "entry of metrics"),
])
def test_object_without_a_part_is_refused(change, why):
    with pytest.raises(Nonconformance, match=why):
        check_object(read(obj(**change)), now=NOW)


@pytest.mark.parametrize(("changed", "why"), [
    (entries("ms"), "unit of p99_response_latency is ms"), (entries(""), "is missing, not seconds"),
    (entries(p90_response_latency=None), "no p90_response_latency"), (entries(success_count="1.5"), "no whole number"),
    (entries(failure_count="x"), "is not a quantity"),
    ([*entries(failure_count=None), {"name": "failure_count", "unit": "rps", "value": "1"}], "has the unit rps"),
])
def test_wrong_values_are_refused(changed, why):
    with pytest.raises(Nonconformance, match=why):
        check_values(read(obj(metrics=changed)))


@pytest.mark.parametrize(("weight", "read_as"), [(3, "3"), (3.0, "3"), ("3", "3"), ("500m", "1/2"), (None, "None")],
                         ids=repr)
def test_weight_is_read_as_a_number(weight, read_as):
    assert read(obj(backend={"apex": "root", "name": "v1", "weight": weight})).backend.weight == read_as


def test_latency_in_other_units_is_read():
    assert read(obj(metrics=entries("ms", p50_response_latency="7"))).latency("p50_response_latency") == 0.007
    assert read(obj(metrics=[])).latency("p50_response_latency") is None


def test_busiest_item_is_found():
    few, many = (read(obj(metrics=entries(success_count=count))) for count in ("1", "9"))
    unreadable = read(obj(metrics=[]))
    assert busiest([few, many]) is many
    assert busiest([many, unreadable]) is unreadable
    assert busiest([]) is None


# --- comparing ---


@pytest.mark.parametrize("figures", [{}, {"success_count": "130", "failure_count": "30"}, {"success_count": "105"}])
def test_counts_may_differ_by_a_tenth_of_the_sample(figures):
    Count(120, 40).check(read(obj(metrics=entries(**figures))))


@pytest.mark.parametrize("figures", [
    {"failure_count": "0"}, {"success_count": "4", "failure_count": "1"},
    {"success_count": "160", "failure_count": "0"},
    {"success_count": "0", "failure_count": "0"}, {"success_count": "240", "failure_count": "80"},
    {"success_count": None}, {"failure_count": "many"},
])
def test_other_counts_are_refused(figures):
    with pytest.raises(Nonconformance):
        Count(120, 40).check(read(obj(metrics=entries(**figures))))


SEEN = Latency(0.004, 0.21, 0.3)


@pytest.mark.parametrize("figures", [{}, {"p99_response_latency": "151m", "p90_response_latency": "100m"},
                                     {"p90_response_latency": None}])
def test_percentiles_of_the_sample(figures):
    check_latencies(read(obj(metrics=entries(**figures))), SEEN)


@pytest.mark.parametrize(("figures", "why"), [
    ({"p50_response_latency": "210m", "p99_response_latency": "2m"}, "p50 ≤ p90"),
    (dict.fromkeys(PERCENTILES, "42m"), "a p99 of at least"), (dict.fromkeys(PERCENTILES, "210m"), "a p50 of at most"),
])
def test_other_percentiles_are_refused(figures, why):
    with pytest.raises(Nonconformance, match=why):
        check_latencies(read(obj(metrics=entries(**figures))), SEEN)


# --- the API ---


class Cluster:
    """Answers as told; an exception is raised."""

    def __init__(self, available="True", reason="MissingEndpoints", **answers) -> None:
        self.available, self.reason, self.answers, self.looks = available, reason, answers, 0
        self.asked, self.patience = [], []

    def get(self, *_):
        self.looks += 1
        if isinstance(self.available, Exception):
            raise self.available
        condition = {"type": "Available", "status": self.available, "reason": self.reason, "message": "none"}
        return {"status": {"conditions": [condition]}}

    def json(self, _method, path, patience=None, **_):
        self.asked.append(path)
        self.patience.append(patience)
        answer = self.answers[path.rpartition("/")[2]]
        if isinstance(answer, Exception):
            raise answer
        return answer


def api(cluster):
    return MetricsApi(cluster, Availability(cluster, 0.05))


def test_api_that_is_not_available_fails_and_is_waited_for_once():
    cluster = Cluster(available="False")
    asked = api(cluster)
    for _ in range(3):
        with pytest.raises(Nonconformance, match="MissingEndpoints none"):
            asked.list("pods")
    assert not cluster.asked
    assert cluster.looks < 10


def test_api_that_comes_late_fails_no_check_but_the_first():
    cluster = Cluster(available="False", pods={"kind": "TrafficMetricsList"})
    asked = api(cluster)
    with pytest.raises(Nonconformance, match="to be Available within"):
        asked.list("pods")
    cluster.available = "True"
    assert asked.list("pods").items == ()


@pytest.mark.parametrize("comes", [True, False])
def test_what_the_api_server_is_late_to_notice_is_not_the_meshs_fault(monkeypatch, comes):
    """It asks a server that has failed again after a while only: beyond the mesh's time, it is given its own."""
    cluster = Cluster(available="False", reason="FailedDiscoveryCheck")
    asked, look = api(cluster), cluster.get

    def get(*names):
        if comes and time.monotonic() > began + 0.2:
            cluster.available = "True"
        return look(*names)

    monkeypatch.setattr(cluster, "get", get)
    monkeypatch.setattr(metrics_api, "PROBED_WITHIN", 5.0 if comes else 0.1)
    began = time.monotonic()
    if comes:
        asked.availability.require()
        return
    with pytest.raises(Nonconformance, match="FailedDiscoveryCheck"):
        asked.availability.require()
    assert time.monotonic() - began >= 0.15


def test_missing_api_service_is_a_nonconformance():
    with pytest.raises(Nonconformance, match="no such APIService"):
        api(Cluster(available=NotFound("reading", "no such APIService", code=404))).availability.require()


def test_broken_api_server_is_no_nonconformance():
    with pytest.raises(ClusterError):
        api(Cluster(available=ClusterError("reading", "refused"))).ask()
    with pytest.raises(ClusterError) as raised:
        api(Cluster(pods=ClusterError("reading", "refused"))).list("pods")
    assert not isinstance(raised.value, AssertionError)


def test_server_that_fails_is_given_no_patience_again_but_asked():
    cluster = Cluster(pods=ClusterError("GET", "it crashed (HTTP 500)", code=500), nodes={"kind": "TrafficMetricsList"})
    asked = api(cluster)
    for _ in range(2):
        with pytest.raises(Nonconformance, match="it crashed"):
            asked.list("pods")
    assert asked.list("nodes").items == ()
    assert asked.list("nodes").items == ()
    assert cluster.patience == [None, 0.0, 0.0, None]


def test_what_is_not_found_fails_the_check_alone():
    cluster = Cluster(pods=NotFound("GET", "not found (HTTP 404)", code=404), nodes={"kind": "TrafficMetricsList"})
    asked = api(cluster)
    with pytest.raises(Nonconformance, match="404"):
        asked.list("pods")
    assert asked.list("nodes").items == ()


def test_refusal_has_to_be_one():
    forbidden = api(Cluster(pods=ClusterError("GET", "no (HTTP 403)", code=403)))
    assert "403" in forbidden.refuses("pods")
    with pytest.raises(Nonconformance, match="HTTP 200"):
        api(Cluster(pods={})).refuses("pods")
    with pytest.raises(Nonconformance, match="404"):
        api(Cluster(pods=NotFound("GET", "HTTP 404", code=404))).refuses("pods")


@pytest.mark.parametrize("resources", [7, ["x"], [{}], [{"name": ""}]])
def test_odd_discovery_is_a_nonconformance(resources):
    with pytest.raises(Nonconformance, match="APIResourceList"):
        api(Cluster(v1alpha1={"resources": resources})).kinds()


def test_subjects_have_paths():
    assert Subject("pods", "web", "demo").path == "namespaces/demo/pods/web"
    assert Subject("namespaces", "demo").path == "namespaces/demo"


# --- the traffic ---


class Topology:
    """A client whose requests the pod web-1 answers as their paths ask."""

    class mesh:  # noqa: N801 - stands for an attribute
        convergence = 0.2

    def agent(self, _):
        return self

    def await_services(self):
        pass

    def run(self, batch):
        outcomes = tuple(
            Answer(503 if batch.requests[number % len(batch.requests)].url.endswith(FAILING) else 200, "web-1")
            for number in range(batch.count)
        )
        return Sample(batch, outcomes)


ROOT = Service("root", "demo", ("root.demo",), frozenset({"web"}), {})


@pytest.fixture
def meter():
    return Meter(Topology(), Evidence())


def test_meter_knows_what_was_answered(meter):
    meter.send("client", ROOT, 100, [OK, OK, OK, FAILING])
    assert meter.answers("client", "web-1") == Count(75 + 4, 25)  # four to see that the way is open
    assert meter.answers("client", "web-2") == Count()


def look_at(*answers):
    """A look that gives these in turn, and the last for ever."""
    left = list(answers)
    return lambda: left.pop(0) if len(left) > 1 else left[0]


IDLE = read(obj(metrics=entries(success_count="0", failure_count="0"), window="1s"))


def reports(meter, look, judge):
    return meter.reports(look, judge, of=lambda item: item, what="the pod's metrics")


def test_figures_are_waited_for_and_judged_as_soon_as_they_are_there(meter):
    half = read(obj(metrics=entries(success_count="60", failure_count="20")))
    reports(meter, look_at(IDLE, IDLE, half, read(obj())), Count(120, 40).check)
    assert len(meter.evidence.convergence) == 2


def test_figures_that_never_come_fail(meter):
    with pytest.raises(Nonconformance, match=r"the pod's metrics to be reported within 0\.2 s"):
        reports(meter, look_at(IDLE), Count(120, 40).check)


def test_figures_that_stay_wrong_fail_with_what_was_wrong(meter):
    with pytest.raises(Nonconformance, match=r"120 successful and 40 failed(.|\n)*not so within 0\.2 s"):
        reports(meter, look_at(read(obj(metrics=entries(failure_count="0")))), Count(120, 40).check)


def test_figures_without_counts_are_judged_not_waited_for(meter):
    with pytest.raises(Nonconformance, match="no success_count"):
        reports(meter, look_at(read(obj(metrics=entries(success_count=None)))), check_values)
