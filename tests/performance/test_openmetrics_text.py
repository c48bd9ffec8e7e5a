"""The text: names, units, labels, histograms, and what is left out. About 1 s."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from openmetrics_run import HOSTILE, histogram, load, sample_run
from prometheus_servers import binary

from conformance.performance.histogram import Histogram
from conformance.performance.model import Figure, ProbeResult
from conformance.performance.showing.openmetrics import BOUNDS, metric, render

SAMPLE = re.compile(r'([a-z_]+)\{((?:[a-zA-Z0-9_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\} ([0-9.e+-]+|NaN|[+-]Inf)')
LABEL = re.compile(r'([a-zA-Z0-9_]+)="((?:[^"\\]|\\.)*)"')


def parsed(text):
    """Samples by name and labels; fails when a line is nothing that OpenMetrics knows."""
    *lines, end = text.split("\n")[:-1]
    assert end == "# EOF"
    assert text.endswith("# EOF\n")
    found, family, seen = {}, "", set()
    for line in lines:
        if line.startswith("# "):
            _, word, name, *_ = line.split(" ")
            assert word in ("HELP", "TYPE", "UNIT")
            if word == "HELP":
                assert name not in seen, f"{name} is not in one piece"
                seen.add(name)
            family = name
            if word == "UNIT":
                assert name.endswith(f"_{line.split(' ')[3]}")
            continue
        name, labels, value = SAMPLE.fullmatch(line).groups()
        assert name == family or re.fullmatch(rf"{family}_(bucket|sum|count)", name)
        place = name, tuple(sorted(LABEL.findall(labels)))
        assert place not in found
        found[place] = float(value)
    return found


@pytest.fixture(scope="module")
def samples():
    return parsed(render(sample_run()))


def value(samples, name, **labels):
    matching = [number for (found, have), number in samples.items()
                if found == f"mesh_conformance_{name}" and labels.items() <= dict(have).items()]  # fmt: skip
    assert len(matching) == 1, (name, labels, matching)
    return matching[0]


def test_figures_with_their_intervals(samples):
    where = {"mesh": "reference", "probe": "latency-overhead", "path": "both", "percentile": "p99"}
    assert value(samples, "figure_latency_overhead_seconds", **where) == 2.5e-4
    assert value(samples, "figure_latency_overhead_low_seconds", **where) == pytest.approx(5e-4 / 3)
    assert value(samples, "figure_latency_overhead_high_seconds", **where) == 5e-4
    assert value(samples, "figure_throughput_per_second", path="both") == 14_000
    assert value(samples, "figure_throughput_left_ratio", path="both") == 0.25
    assert value(samples, "figure_proxy_memory_bytes", path="both", proxy="client") == 66e6
    assert value(samples, "figure_proxy_cpu_cores", path="both") == 0.144
    assert not any("figure_proxy_memory_low" in name for name, _ in samples)


def test_an_invalid_result_has_no_values(samples):
    mine = {name for name, labels in samples if ("probe", "body-sizes") in labels}
    assert mine == {f"mesh_conformance_probe_{what}" for what in ("invalid", "invalidities", "duration_seconds")}
    assert value(samples, "probe_invalid", probe="body-sizes") == 1
    assert value(samples, "probe_invalidities", probe="body-sizes", gate="schedule lag") == 2
    assert value(samples, "probe_invalid", probe="latency-overhead") == 0


def test_the_run(samples):
    ((name, labels),) = [place for place in samples if place[0].endswith("run_info")]
    assert samples[name, labels] == 1
    about = dict(labels)
    assert about["mesh"] == "reference"
    assert about["label_mesh"] == "mine"
    assert about["label_9_odd"] == "x"
    assert about["cpu_model"] == 'a \\"quoted\\" \\\\ back\\nline'
    assert value(samples, "run_start_timestamp_seconds") == 1.8e9


def test_names_that_would_be_taken_for_a_part_of_another_metric(samples):
    assert value(samples, "figure_restart_errors_total_value", label_probe="x", probe="rolling-restart") == 3
    assert metric("x.count", "count") == "mesh_conformance_figure_x_count_value"
    assert metric("x.count", "s") == "mesh_conformance_figure_x_count_value_seconds"
    assert metric("latency.p99.9", "s") == "mesh_conformance_figure_latency_p99_9_seconds"


def test_rounds_of_a_load_are_one_histogram(samples):
    where = {"probe": "latency-overhead", "path": "both"}
    merged = histogram(6e5, 1)
    merged.merge(histogram(6e5, 2))
    assert value(samples, "load_response_seconds_count", **where) == 40_000
    assert value(samples, "load_response_seconds_sum", **where) == pytest.approx(merged.total * 1e-9)
    ninety_nine = value(samples, "load_response_percentile_seconds", **where, percentile="p99")
    assert ninety_nine == merged.percentile(0.99) * 1e-9
    assert value(samples, "load_rate_per_second", **where) == 991.5
    assert value(samples, "load_requested_per_second", **where) == 1000
    assert value(samples, "load_duration_seconds", **where) == 4
    assert value(samples, "load_errors", **where, kind="timeout") == 3
    assert value(samples, "load_errors", **where, kind="any") == 3
    assert value(samples, "load_errors", probe="latency-overhead", path="direct", kind="any") == 0
    closed = {name for name, labels in samples if ("probe", "throughput-ceiling") in labels}
    assert "mesh_conformance_load_requested_per_second" not in closed


def test_buckets_are_cumulative_and_bounded(samples):
    buckets = [(dict(labels), number) for (name, labels), number in samples.items()
               if name == "mesh_conformance_load_response_seconds_bucket"
               and {("path", "both"), ("probe", "latency-overhead")} <= set(labels)]  # fmt: skip
    bounds = [float(labels["le"]) for labels, _ in buckets]
    counts = [count for _, count in buckets]
    assert bounds == [*BOUNDS, float("inf")]
    assert len(bounds) == 62
    assert bounds == sorted(set(bounds))
    assert counts == sorted(counts)
    assert counts[-1] == 40_000
    merged = histogram(6e5, 1)
    merged.merge(histogram(6e5, 2))
    for bound, count in zip(bounds[:-1], counts[:-1], strict=True):
        exact = sum(number for low, high, number in merged.buckets() if high <= bound * 1e9)
        assert exact <= count <= exact + 0.02 * 40_000


def test_a_few_requests_have_no_high_percentiles():
    few, beyond = Histogram(), Histogram()
    for number in range(100):
        few.record(number * 1000)
    beyond.record(60 * 10**9, 3)
    probe = ProbeResult("p", "t", (), (), (load("both", 1, 1e5, service=few, response=beyond),))
    samples = parsed(render(replace(sample_run(), results=(probe,))))
    given = {dict(labels)["percentile"] for name, labels in samples if name.endswith("service_percentile_seconds")}
    assert given == {"p50", "p90"}
    assert value(samples, "load_response_seconds_bucket", le="10.0") == 0
    assert value(samples, "load_response_seconds_bucket", le="+Inf") == 3


def test_numbers_that_are_none():
    figures = (Figure("a", "s", float("nan")), Figure("b", "s", float("inf"), float("-inf"), 1.0, 0.9),
               Figure("c", "count", 10**20))  # fmt: skip
    samples = parsed(render(replace(sample_run(), results=(ProbeResult("p", "t", figures),))))
    assert value(samples, "figure_b_seconds") == float("inf")
    assert value(samples, "figure_b_low_seconds") == float("-inf")
    assert value(samples, "figure_c") == 1e20
    assert str(value(samples, "figure_a_seconds")) == "nan"


def test_labels_of_a_load_that_are_taken():
    probe = ProbeResult("p", "t", (), (), (load("x", 1, 1e5, labels={"kind": HOSTILE, "percentile": "p1"}),))
    samples = parsed(render(replace(sample_run(), results=(probe,))))
    assert value(samples, "load_errors", kind="any", label_percentile="p1") == 0


def test_two_figures_that_would_be_one_sample():
    twice = Figure("a.b", "s", 1.0), Figure("a-b", "s", 2.0)
    with pytest.raises(ValueError, match="two samples of mesh_conformance_figure_a_b_seconds have the labels"):
        render(replace(sample_run(), results=(ProbeResult("p", "t", twice),)))


def test_an_empty_run_is_text_as_well():
    assert len(parsed(render(replace(sample_run(), results=())))) == 2


def test_promtool_finds_no_fault():
    checked = subprocess.run([binary("promtool"), "check", "metrics"], input=render(sample_run()), capture_output=True,
                             text=True, timeout=30, check=False)  # fmt: skip
    assert (checked.returncode, checked.stderr) == (0, "")


def test_the_documents_name_every_metric(samples):
    told = (Path(__file__).parents[2] / "docs" / "performance-metrics.md").read_text()
    names = {re.sub(r"_(bucket|sum|count)$", "", name) if "_load_" in name else name for name, _ in samples}
    for name in names:
        assert f"`{name}`" in told or name.startswith("mesh_conformance_figure_"), name
    for name in re.findall(r"`(mesh_conformance_(?:run|probe|load)_[a-z_]+)`", told):
        assert name in names
