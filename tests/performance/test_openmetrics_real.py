"""A real Prometheus reads a run, scraped and by node-exporter, and answers the dashboard's queries. About 6 s."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from openmetrics_run import HOSTILE, sample_run
from prometheus_servers import Exporter, job, node_exporter, prometheus, until

import conformance.performance.showing
from conformance.performance.showing.openmetrics import CONTENT_TYPE, render
from conformance.performance.usage.prometheus import Prometheus, quoted

DASHBOARD = json.loads((Path(conformance.performance.showing.__file__).parent / "grafana.json").read_text())
CHOSEN = {"mesh": "reference", "probe": "latency-overhead", "path": "both", "percentile": "p50|p90|p99",
          "overhead": "p99"}  # fmt: skip


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    directory = tmp_path_factory.mktemp("openmetrics")
    textfiles = directory / "textfiles"
    textfiles.mkdir()
    (textfiles / "mesh.prom").write_text(render(sample_run()))
    served = Exporter(render(sample_run()), CONTENT_TYPE)
    options = "--collector.textfile", f"--collector.textfile.directory={textfiles}"
    with (
        node_exporter(directory, *options) as exporter,
        prometheus(directory, job("scraped", served.address), job("textfile", exporter)) as url,
        Prometheus(url) as opened,
    ):
        until(opened, "up", lambda found: len(found) == 2 and all(one.points[0][1] == 1 for one in found))
        until(opened, 'mesh_conformance_run_info{job="textfile"}')
        yield opened
    served.close()


def samples(client, job_name):
    """All samples of a job, by name and labels, without the labels that the scrape added."""
    found = client.query(f'{{__name__=~"mesh_conformance_.+",job="{job_name}"}}').series
    dropped = {"job", "instance"}
    return {tuple(sorted((name, value) for name, value in one.labels.items() if name not in dropped)): one.points[0][1]
            for one in found}  # fmt: skip


def test_every_sample_arrives_as_it_is(client):
    found = samples(client, "scraped")
    lines = [line for line in render(sample_run()).splitlines() if not line.startswith("#")]
    assert len(found) == len(lines)
    assert sorted(found.values()) == sorted(float(line.rpartition(" ")[2]) for line in lines)
    (info,) = client.query('mesh_conformance_run_info{job="scraped"}').series
    assert info.labels["cpu_model"] == HOSTILE
    upper = "mesh_conformance_figure_latency_overhead_high_seconds"
    (one,) = client.query(f'{upper}{{job="scraped",percentile="p90"}}').series
    assert one.points[0][1] == 3e-4


def test_the_textfile_collector_gives_the_same(client):
    found, direct = samples(client, "textfile"), samples(client, "scraped")
    assert {dict(place)["__name__"] for place in found} == {dict(place)["__name__"] for place in direct}
    # The collector writes bounds of buckets in its own words, 1 for 1.0.
    assert sorted(found.values()) == sorted(direct.values())
    errors = client.query('node_textfile_scrape_error{job="textfile"}').series
    assert errors[0].points[0][1] == 0


def test_prometheus_knows_the_histograms(client):
    where = '{job="scraped",probe="latency-overhead",path="both"}'
    (exact,) = client.query('mesh_conformance_load_response_percentile_seconds{job="scraped",percentile="p99",'
                            'probe="latency-overhead",path="both"}').series
    buckets = f"mesh_conformance_load_response_seconds_bucket{where}"
    (estimated,) = client.query(f"histogram_quantile(0.99, {buckets})").series
    assert estimated.points[0][1] == pytest.approx(exact.points[0][1], rel=0.13)


# --- the dashboard


def filled(expression):
    for name, value in CHOSEN.items():
        expression = re.sub(rf"\$(\{{{name}\}}|{name}\b)", value, expression)
    assert "$" not in expression
    return expression


def panels():
    return [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


@pytest.mark.parametrize("expression", [target["expr"] for panel in panels() for target in panel["targets"]])
def test_every_query_of_the_dashboard_has_an_answer(client, expression):
    answer = client.query(filled(expression))
    assert answer.series
    assert not answer.warnings
    assert all(one.points[0][1] == one.points[0][1] for one in answer.series)


def test_every_variable_of_the_dashboard_has_values(client):
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            select, label = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"]).groups()
            values = {one.labels[label] for one in client.query(filled(select)).series}
            assert CHOSEN[variable["name"]] in values, (select, quoted(label))


def test_the_dashboard_is_whole():
    assert DASHBOARD["schemaVersion"] >= 39
    assert DASHBOARD["uid"]
    assert "id" not in DASHBOARD, "an id would overwrite somebody's dashboard"
    everything = DASHBOARD["panels"]
    assert len({panel["id"] for panel in everything}) == len(everything)
    taken = set()
    for panel in everything:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}  # fmt: skip
        assert place["x"] + place["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells
    datasource = {"type": "prometheus", "uid": "${datasource}"}
    for panel in panels():
        assert panel["datasource"] == datasource, panel["title"]
        references = [target["refId"] for target in panel["targets"]]
        assert len(references) == len(set(references))
        assert all(target["datasource"] == datasource for target in panel["targets"])
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    assert set(variables) == {"datasource", *CHOSEN}
