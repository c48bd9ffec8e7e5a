"""What is written as fortio's JSON says the same when it is read again, and has the form that fortio's readers need."""

import json
import random

import pytest

from conformance.performance import formats
from conformance.performance.formats import fortio
from conformance.performance.histogram import Histogram
from conformance.performance.model import LoadSummary


def load(count=5000, **fields):
    rng = random.Random(7)
    service, response = Histogram(), Histogram()
    for _ in range(count):
        took = round(200_000 * rng.lognormvariate(0, 0.5))
        service.record(took)
        response.record(took + 50_000)
    known = {"labels": {"path": "both", "round": "1"}, "requested": 1000.0, "achieved": count / 5.0, "seconds": 5.0,
             "connections": 16, "service": service, "response": response, "errors": {}, "statuses": {"200": count},
             "url": "http://10.0.0.1:8090/"}
    return LoadSummary(**{**known, **fields})


def written(summary, **fields):
    return fortio.write(summary, started=1795257050.25, version="0.5.0", **fields)


@pytest.mark.parametrize(("measure", "corrects"), [("response", "yes"), ("service", "no")])
def test_the_round_trip_keeps_every_figure(measure, corrects):
    summary = load()
    histogram = summary.response if measure == "response" else summary.service
    result = formats.read(json.dumps(written(summary, measure=measure)))
    assert (result.tool, result.version, result.requests, result.connections) == ("fortio", "0.5.0", 5000, 16)
    assert (result.seconds, result.requested, result.achieved) == (5.0, 1000.0, 1000.0)
    assert result.started == pytest.approx(1795257050.25)
    assert result.corrects == corrects
    assert result.mean == pytest.approx(histogram.mean / 1e9)
    assert (result.min, result.max) == (histogram.min / 1e9, histogram.max / 1e9)
    for share, value in result.percentiles.items():
        assert value == pytest.approx(histogram.percentile(share) / 1e9)
    assert len(result.percentiles) == len(fortio.PERCENTILES)
    assert result.histogram.to_json() == histogram.to_json()
    assert result.warnings == ()


def test_the_form_is_the_one_of_fortio():
    data = written(load(), labels="mesh both, round 1")
    assert data["RequestedQPS"] == "1000"
    assert data["ActualDuration"] == 5_000_000_000
    assert isinstance(data["ActualDuration"], int)
    assert (data["StartTime"], data["RequestedDuration"]) == ("2026-11-21T10:30:50.250000Z", "5s")
    assert data["ID"] == "2026-11-21-103050_mesh_both_round_1"
    hist = data["DurationHistogram"]
    assert {"Count", "Min", "Max", "Sum", "Avg", "StdDev", "Data", "Percentiles"} == hist.keys()
    assert (hist["Data"][0]["Start"], hist["Data"][-1]["End"]) == (hist["Min"], hist["Max"])
    assert hist["Data"][-1]["Percent"] == 100
    assert sum(bucket["Count"] for bucket in hist["Data"]) == hist["Count"] == 5000
    for before, after in zip(hist["Data"], hist["Data"][1:], strict=False):
        assert before["End"] <= after["Start"] < after["End"]
        assert before["Percent"] < after["Percent"]
    assert hist["StdDev"] == pytest.approx(0.00013, rel=0.2)
    assert data["ErrorsDurationHistogram"]["Count"] == 0


def test_errors_are_counted_as_return_codes():
    summary = load(errors={"status": 40, "timeout": 7, "reset": 3}, statuses={"200": 5000, "503": 40})
    data = written(summary)
    assert data["RetCodes"] == {"200": 5000, "503": 40, "-1": 10}
    result = formats.read(json.dumps(data))
    assert (result.requests, dict(result.errors)) == (5050, {"socket": 10, "status": 40})
    assert dict(result.statuses) == {"200": 5000, "503": 40}


def test_a_closed_loop_asks_for_the_maximum():
    data = written(load(requested=None, achieved=60000.0, seconds=5 / 60))
    assert data["RequestedQPS"] == "max"
    result = formats.read(json.dumps(data))
    assert result.requested is None
    assert result.unpaced


def test_tcp_has_the_code_that_fortio_gives_it():
    data = written(load(statuses={}, url="tcp://10.0.0.1:8090"))
    assert (data["RunType"], data["RetCodes"]) == ("TCP", {"OK": 5000})
    assert formats.read(json.dumps(data)).requests == 5000


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_requests_are_written_and_read(count):
    data = written(load(count, requested=None))
    result = formats.read(json.dumps(data))
    assert result.requests == count
    assert (result.histogram.count if result.histogram else 0) == count
    if not count:
        assert data["DurationHistogram"]["Data"] is None
        assert result.mean is None
