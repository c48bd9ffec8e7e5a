"""The mutants of HTTPRoute."""

from __future__ import annotations

from typing import Final

from conformance.sandbox.mutants import routing
from conformance.sandbox.mutants.mutant import Mutant
from conformance.sandbox.reference.behaviour import Behaviour

MUTANTS: Final = (
    Mutant("route-weights-84-16", "a route's 90 to 10 is served as 84 to 16",
           "ROUTE-001", Behaviour(routing.SkewedWeights)),
    Mutant("route-weights-clamped", "a route's weights above 100 count as 100",
           "ROUTE-002", Behaviour(routing.ClampedWeights)),
    Mutant("route-zero-is-one", "a route's weight 0 is served as 1 beside another weight",
           "ROUTE-003", Behaviour(routing.ZeroIsOne)),
    Mutant("route-zero-ends-route", "a route with a backend at weight 0 beside another weight is not applied",
           "ROUTE-003", Behaviour(routing.ZeroEndsRoute)),
    Mutant("route-single-backend-ignored", "a route to a single backend is not applied",
           "ROUTE-004", Behaviour(routing.SingleBackendIgnored)),
    Mutant("route-updates-ignored", "a route keeps the rules that it had when it was made",
           "ROUTE-005", Behaviour(view=routing.first_weights)),
    Mutant("route-added-backend-ignored", "a backend that is added to a route gets nothing",
           "ROUTE-005", Behaviour(view=routing.added_backends)),
    Mutant("deleted-route-stays", "a deleted route stays in force while its parent exists",
           "ROUTE-006", Behaviour(view=routing.deleted_routes)),
    Mutant("route-headers-or", "one of several headers of a route's match is enough",
           "ROUTE-007", Behaviour(routing.HeadersOr)),
    Mutant("route-others-served", "requests that no rule matches go to the Service itself",
           "ROUTE-008", Behaviour(routing.OthersServed)),
    Mutant("route-others-unavailable", "requests that no rule matches are answered 503",
           "ROUTE-008", Behaviour(routing.OthersUnavailable)),
    Mutant("route-first-match-only", "only the first of several matches selects requests",
           "ROUTE-009", Behaviour(routing.FirstMatchOnly)),
    Mutant("route-exact-is-prefix", "an exact path is taken for a prefix",
           "ROUTE-010", Behaviour(routing.ExactIsPrefix)),
    Mutant("route-case-ignored", "an exact path is matched in capitals as well",
           "ROUTE-010", Behaviour(routing.CaseIgnored)),
    Mutant("route-prefix-of-letters", "a prefix is matched letter by letter, not by whole elements",
           "ROUTE-011", Behaviour(routing.PrefixOfLetters)),
    Mutant("route-prefix-is-exact", "a prefix is matched by itself only",
           "ROUTE-011", Behaviour(routing.PrefixIsExact)),
    Mutant("route-method-ignored", "a route's method is not looked at",
           "ROUTE-012", Behaviour(routing.MethodIgnored)),
    Mutant("route-parts-or", "of path and headers of a route's match one is enough",
           "ROUTE-013", Behaviour(routing.PartsOr)),
    Mutant("route-first-rule-first", "the first rule that matches decides, not the most specific one",
           "ROUTE-014", Behaviour(routing.FirstRuleFirst)),
    Mutant("route-port-ignored", "a route for one port of a Service is applied to all",
           "ROUTE-015", Behaviour(routing.PortIgnored)),
    Mutant("route-first-port-only", "a route that names no port is for the first port of the Service",
           "ROUTE-015", Behaviour(routing.FirstPortOnly)),
    Mutant("route-missing-left-out", "the share of a missing backend goes to the others",
           "ROUTE-016", Behaviour(routing.MissingLeftOut)),
    Mutant("route-missing-unavailable", "the share of a missing backend is answered 503",
           "ROUTE-016", Behaviour(routing.MissingUnavailable)),
    Mutant("route-no-weight-ignored", "a route without any weight is not applied",
           "ROUTE-017", Behaviour(routing.NoWeightIgnored)),
    Mutant("route-status-silent", "the status of a route stays empty",
           "ROUTE-018", Behaviour(routing.NothingSaid)),
    Mutant("route-status-all-resolved", "the status of a route says that a missing backend is there",
           "ROUTE-018", Behaviour(routing.AllResolved)),
)
