"""The mutants of TrafficSplit."""

from __future__ import annotations

from typing import Final

from conformance.sandbox.mutants import backends, memory, requests, weights
from conformance.sandbox.mutants.mutant import Mutant
from conformance.sandbox.reference.behaviour import Behaviour

MUTANTS: Final = (
    Mutant("fqdn-not-split", "requests that name the root by its full domain name are not split",
           "SPLIT-001", Behaviour(requests.FullNameNotSplit)),
    Mutant("split-at-server", "requests of clients outside the mesh are split, in the server's sidecar",
           "SPLIT-002", Behaviour(requests.SplitAtServer)),
    Mutant("weights-84-16", "90 to 10 is served as 84 to 16",
           "SPLIT-003", Behaviour(weights.SkewedWeights)),
    Mutant("weights-ignored", "every backend above 0 gets the same share",
           "SPLIT-003", Behaviour(weights.EqualWeights), may=("SPLIT-004", "SPLIT-005", "SPLIT-011", "SPLIT-014")),
    Mutant("weights-above-100-clamped", "weights above 100 count as 100",
           "SPLIT-004", Behaviour(weights.ClampedWeights)),
    Mutant("weights-rounded-to-tens", "weights below ten are rounded up to ten",
           "SPLIT-005", Behaviour(weights.CoarseWeights)),
    Mutant("weights-in-percent", "weights are rounded to whole percents, the last backend takes the remainder "
           "(Istio's SMI adapter)", "SPLIT-005", Behaviour(weights.PercentWeights)),
    Mutant("zero-is-one", "weight 0 is served as 1 where all weights are at most 100 together",
           "SPLIT-006", Behaviour(weights.ZeroIsOne)),
    Mutant("single-backend-ignored", "a split with a single backend is not applied",
           "SPLIT-007", Behaviour(weights.SingleBackendIgnored)),
    Mutant("missing-backend-fails", "the root answers 503 while one of its backends does not exist",
           "SPLIT-008", Behaviour(backends.MissingBackendFails), may=("SPLIT-009",)),
    Mutant("root-endpoints", "with a backend at weight 0, the others' shares go to the root's endpoints (osm#4296)",
           "SPLIT-009", Behaviour(weights.RootEndpoints)),
    Mutant("zero-weight-unreachable", "a Service at weight 0 in a split answers 503 to direct calls",
           "SPLIT-010", Behaviour(weights.UnreachableAtZero)),
    Mutant("updates-ignored", "a backend keeps the weight that it had when the split was made",
           "SPLIT-011", Behaviour(view=memory.first_weights)),
    Mutant("deleted-split-stays", "a deleted split stays in force while its root exists",
           "SPLIT-012", Behaviour(view=memory.deleted_splits)),
    Mutant("removed-backend-stays", "a backend that is taken out of a split keeps its share",
           "SPLIT-013", Behaviour(view=memory.removed_backends)),
    Mutant("direct-calls-split", "calls that name a backend are split like calls that name the root",
           "SPLIT-014", Behaviour(backends.DirectCallsSplit)),
    Mutant("global-ratio", "only all clients together see the ratio: every other one sees it turned round",
           "SPLIT-014", Behaviour(weights.GlobalRatio)),
    Mutant("other-type-ignored", "backends of another type than the root's are left out",
           "SPLIT-015", Behaviour(backends.OtherTypeIgnored)),
    Mutant("ports-matched-by-name", "a backend's port has to have the root's port name as well",
           "SPLIT-016", Behaviour(backends.PortsMatchedByName)),
    Mutant("unmatched-port-used", "a backend without the root's port is included with the first port that it has",
           "SPLIT-017", Behaviour(backends.UnmatchedPortUsed)),
    Mutant("target-port-ignored", "backends are connected to at the root's target port",
           "SPLIT-018", Behaviour(backends.TargetPortIgnored)),
    Mutant("first-port-only", "only the first port of a root is split",
           "SPLIT-019", Behaviour(backends.FirstPortOnly)),
    Mutant("no-events", "misconfigurations are not told of",
           "SPLIT-020", Behaviour(problems=lambda _: ())),
    Mutant("nested-resolved", "the split of a backend divides the backend's share",
           "SPLIT-022", Behaviour(backends.NestedResolved)),
    Mutant("circle-refused", "two splits that lead to each other's roots take both Services down (traefik/mesh#619)",
           "SPLIT-022", Behaviour(backends.CircleRefused)),
    Mutant("matches-drop-split", "requests that a route group selects are not split",
           "SPLIT-024", Behaviour(requests.MatchingNotSplit)),
    Mutant("headers-or", "one of several headers of a match is enough",
           "SPLIT-024", Behaviour(requests.HeadersOr)),
    Mutant("non-matching-split", "requests that no route group selects are split as well",
           "SPLIT-025", Behaviour(requests.NotMatchingSplit)),
    Mutant("non-matching-refused", "requests that no route group selects answer 503",
           "SPLIT-025", Behaviour(requests.NotMatchingRefused)),
    Mutant("first-group-only", "only the first of several route groups selects requests",
           "SPLIT-026", Behaviour(requests.FirstGroupOnly)),
)

OBSERVED: Final = (
    Mutant("two-splits-refused", "two splits on one root take the Service down (traefik/mesh#635)",
           "SPLIT-031", Behaviour(backends.SplitsOfOneRootRefused)),
)
"""Imitations of bugs where the specification says nothing: no check fails, and the observation shows them."""
