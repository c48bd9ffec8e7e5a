"""Mutants of TrafficMetrics.

As each requirement has a situation of its own in the suite, most of these are wrong everywhere and yet fail one check.
"""

from __future__ import annotations

from typing import Final

from conformance.sandbox.mutants import metrics_content as content
from conformance.sandbox.mutants import metrics_form as form
from conformance.sandbox.mutants.mutant import Mutant
from conformance.sandbox.reference.behaviour import Behaviour

_ANSWERS: Final = tuple(f"METRIC-{number:03}" for number in range(2, 16))

MUTANTS: Final = (
    Mutant("metrics-unavailable", "the metrics API is registered, and no server is behind it",
           "METRIC-001", may=_ANSWERS, manifests=form.without_endpoints),
    Mutant("metrics-get-only", "metrics cannot be listed, says the API",
           "METRIC-002", Behaviour(metrics=form.GetOnly)),
    Mutant("metrics-kind-of-resource", "the API says that metrics of a pod are of kind Pod",
           "METRIC-002", Behaviour(metrics=form.KindOfResource)),
    Mutant("metrics-without-jobs", "there are no metrics of jobs",
           "METRIC-003", Behaviour(metrics=form.WithoutJobs)),
    Mutant("metrics-five-kinds", "there are metrics of five kinds only, as NGINX Service Mesh has them",
           "METRIC-003", Behaviour(metrics=form.FiveKinds), may=("METRIC-013",)),
    Mutant("metrics-without-window", "metrics do not say of which window they are",
           "METRIC-004", Behaviour(metrics=form.WithoutWindow)),
    Mutant("metrics-without-side", "an edge does not say at which side it was observed, as in the Go SDK",
           "METRIC-004", Behaviour(metrics=form.WithoutSide), may=("METRIC-006",)),
    Mutant("latency-in-ms", "latency is given in ms, as in the Go SDK",
           "METRIC-005", Behaviour(metrics=form.Milliseconds)),
    Mutant("latency-p95", "there is a 95th percentile in place of the 90th",
           "METRIC-005", Behaviour(metrics=form.P95)),
    Mutant("edge-sides-swapped", "client and server side of edges are swapped",
           "METRIC-006", Behaviour(metrics=form.SidesSwapped)),
    Mutant("edge-directions-mixed", "traffic between two resources is shown in both directions",
           "METRIC-006", Behaviour(metrics=form.DirectionsMixed), may=("METRIC-012",)),
    Mutant("metrics-of-one-client", "a resource's metrics are of one of its clients",
           "METRIC-007", Behaviour(metrics=form.FirstClientOnly)),
    Mutant("metrics-name-a-client", "metrics of all traffic name one client as its source",
           "METRIC-007", Behaviour(metrics=form.ClientNamed)),
    Mutant("metrics-of-first-pod", "the metrics of a resource are those of its first pod",
           "METRIC-008", Behaviour(metrics=content.FirstPodOnly)),
    Mutant("metrics-averaged", "the metrics of a resource are the mean of its pods'",
           "METRIC-008", Behaviour(metrics=content.Averages)),
    Mutant("metrics-without-aggregates", "there are no metrics of deployments and services",
           "METRIC-008", Behaviour(metrics=content.NoAggregates), may=("METRIC-003", "METRIC-009", "METRIC-015")),
    Mutant("metrics-list-named", "a list by kind has a name",
           "METRIC-009", Behaviour(metrics=content.ListNamesItem)),
    Mutant("metrics-of-all-namespaces", "a list has the resources of all namespaces",
           "METRIC-009", Behaviour(metrics=content.EveryNamespace)),
    Mutant("metrics-selector-ignored", "the label selector of a list is ignored",
           "METRIC-010", Behaviour(metrics=content.SelectorIgnored)),
    Mutant("metrics-selector-hidden", "a list does not show its label selector",
           "METRIC-010", Behaviour(metrics=content.SelectorHidden)),
    Mutant("metrics-selector-on-traffic", "a label selector also filters the traffic that is counted",
           "METRIC-010", Behaviour(metrics=content.SelectorOnTraffic)),
    Mutant("edges-of-kind", "the edges of a resource are said to be those of its kind",
           "METRIC-011", Behaviour(metrics=content.EdgesOfKind)),
    Mutant("edges-missing", "no edges are known",
           "METRIC-011", Behaviour(metrics=content.NoEdges), may=("METRIC-006", "METRIC-012")),
    Mutant("edges-with-everything", "there are edges with resources that no traffic was exchanged with",
           "METRIC-012", Behaviour(metrics=content.EdgesWithEverything)),
    Mutant("edges-of-all-traffic", "each edge has the metrics of all traffic of the resource",
           "METRIC-012", Behaviour(metrics=content.EdgesOfAllTraffic)),
    Mutant("split-without-apex", "the metrics of a split's backend do not name the apex",
           "METRIC-013", Behaviour(metrics=content.WithoutApex)),
    Mutant("split-weights-in-percent", "the weights in a split's metrics are per cent",
           "METRIC-013", Behaviour(metrics=content.Percentages)),
    Mutant("split-weights-of-others", "the weights in a split's metrics are those of other backends",
           "METRIC-013", Behaviour(metrics=content.BackendsTurned)),
    Mutant("split-first-backend", "there are metrics of a split's first backend only",
           "METRIC-013", Behaviour(metrics=content.FirstBackendOnly)),
    Mutant("metrics-refused", "service accounts are refused, whatever their roles",
           "METRIC-014", Behaviour(metrics=content.ServiceAccountsRefused)),
    Mutant("metrics-only-successes", "only successful requests are counted",
           "METRIC-015", Behaviour(metrics=content.SuccessesOnly)),
    Mutant("metrics-failure-rate", "failures are a rate per second, not a count",
           "METRIC-015", Behaviour(metrics=content.FailureRate)),
    Mutant("metrics-failures-succeed", "failed requests are counted as successes",
           "METRIC-015", Behaviour(metrics=content.FailuresAreSuccesses)),
    Mutant("metrics-window-before", "the metrics of a deployment of one pod are those of the window before",
           "METRIC-015", Behaviour(metrics=content.WindowBefore)),
    Mutant("latency-swapped", "median and 99th percentile are swapped",
           "METRIC-015", Behaviour(metrics=content.PercentilesSwapped)),
    Mutant("latency-mean", "every latency percentile is the mean",
           "METRIC-015", Behaviour(metrics=content.MeanLatency)),
    Mutant("metrics-open", "every authenticated user may read all metrics",
           "METRIC-014", manifests=content.open_to_all),
)
