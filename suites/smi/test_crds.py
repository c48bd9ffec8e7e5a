"""The definitions of SMI's kinds: names, what they refuse and keep, and what is left of an object in another version.

Source: SMI v0.6.0, `apis/*`, and the CustomResourceDefinitions of its Go SDK, from which meshes make theirs.

Nothing here depends on what a mesh does with an object, only on the API server and the definitions that the mesh
brings. Objects name nothing that exists; most are only tried, and not stored.
"""

from __future__ import annotations

from conformance.definitions import differences, expected_identity
from conformance.outcome import Nonconformance
from conformance.requirement import requirement
from conformance.smi import ACCESS, DEFINITIONS, SPECS, SPLIT
from conformance.trials import at, body, changed, lacking, without

SPLITS = ("v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4")
TARGETS = ("v1alpha1", "v1alpha2", "v1alpha3")
NUMBERS = ("v1alpha2", "v1alpha3", "v1alpha4")
WITH_MATCHES = ("v1alpha3", "v1alpha4")
METHODS = ("*", "GET", "HEAD", "PUT", "POST", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")


@requirement("CRD-001", level="B", versions=("v1",), api=DEFINITIONS, spec="CRDs: names and scope")
def test_kinds_are_defined_as_named(definitions, observe):
    """Each kind has the group, the plural name and the scope that SMI gives it, and is established."""
    wrong = [(expected_identity(each.kind), each.identity()) for each in definitions.all
             if each.identity() != expected_identity(each.kind)]
    for each in definitions.all:
        observe(each.summary())
    for kind, version in definitions.served():
        each = definitions.of(kind)
        if each is not None and (found := differences(each, version)):
            observe(f"{kind} {version} differs from SMI's definition: {', '.join(found)}")
    if wrong:
        raise Nonconformance(" and ".join(wanted for wanted, _ in wrong), " and ".join(got for _, got in wrong))


@requirement("CRD-002", level="B", versions=SPLITS, api=SPLIT, spec="CRDs: TrafficSplit")
def test_split_has_to_say_service_and_backends(trial):
    """A TrafficSplit without `service` or `backends`, or a backend without `service` or `weight`, is refused."""
    split = trial.whole("TrafficSplit")
    trial.accepts(split, "a TrafficSplit that says everything")
    backend = ("spec", "backends", 0)
    for path in (("spec", "service"), ("spec", "backends"), (*backend, "service"), (*backend, "weight")):
        trial.refuses(without(split, path), f"a TrafficSplit without {_name(path)}")


@requirement("CRD-003", level="B", versions=NUMBERS, api=SPLIT, spec="CRDs: weight")
def test_weight_is_a_number(trial, observe):
    """A weight that is a string is refused."""
    split, weight = trial.whole("TrafficSplit"), ("spec", "backends", 0, "weight")
    trial.accepts(changed(split, weight, 10), "weight 10")
    for text in ("10", "500m", "half"):
        trial.refuses(changed(split, weight, text), f"weight {text!r}")
    for number in (-1, 0.5):
        observe(f"weight {number}: {trial.says(changed(split, weight, number))}")


@requirement("CRD-004", level="B", versions=WITH_MATCHES, api=SPLIT, spec="CRDs: matches")
def test_matches_name_route_groups(trial):
    """An entry of a split's `matches` needs `kind` and `name`, and no other kind than HTTPRouteGroup is taken."""
    split, match = trial.whole("TrafficSplit"), ("spec", "matches", 0)
    trial.accepts(split, "a match of kind HTTPRouteGroup")
    for field in ("kind", "name"):
        trial.refuses(without(split, (*match, field)), f"a match without {field}")
    trial.refuses(changed(split, (*match, "kind"), "TCPRoute"), "a match of kind TCPRoute")


@requirement("CRD-005", level="B", versions=TARGETS, api=ACCESS, spec="CRDs: TrafficTarget")
def test_target_has_to_say_who_may_use_what(trial, definitions, observe):
    """Destination, rules and sources are required, each with `kind` and `name`; rules of other kinds are refused."""
    target = trial.whole("TrafficTarget")
    top, rules = body(target), "specs" if definitions.spoken("TrafficTarget") == "v1alpha1" else "rules"
    trial.accepts(target, "a TrafficTarget that says everything")
    parts = ((*top, "destination"), (*top, rules, 0), (*top, "sources", 0))
    whole = ((*top, "destination"), (*top, rules), (*top, "sources"))
    for path in (*whole, *((*part, field) for part in parts for field in ("kind", "name"))):
        trial.refuses(without(target, path), f"a TrafficTarget without {_name(path)}")
    trial.refuses(changed(target, (*top, rules, 0, "kind"), "TrafficSplit"), "a rule of kind TrafficSplit")
    for path in whole[1:]:
        observe(f"without any {path[-1]}: {trial.says(changed(target, path, []))}")


@requirement("CRD-006", level="B", versions=SPLITS, api=SPECS, spec="CRDs: methods")
def test_methods_are_those_of_http(trial):
    """Each method of HTTP and `*` is taken in a match; any other word is refused."""
    group = trial.whole("HTTPRouteGroup")
    methods = (*body(group), "matches", 0, "methods")
    for method in METHODS:
        trial.accepts(changed(group, methods, [method]), f"method {method}")
    for method in ("FETCH", "get", ""):
        trial.refuses(changed(group, methods, [method]), f"method {method!r}")


@requirement("CRD-007", level="N", versions=("v1alpha2", "v1alpha3", "v1alpha4"), api=SPECS, spec="CRDs: headers")
def test_shape_of_headers(trial, definitions, observe):
    """Headers are a map in the text and a list of maps in the SDK's definitions (smi-spec#233)."""
    group = trial.whole("HTTPRouteGroup")
    shape = definitions.header_shape(definitions.spoken("HTTPRouteGroup"))
    read = trial.stored(group)
    kept = "refused" if read is None else ", ".join(lacking(_said(group), _said(read))) or "read back as written"
    other = {"x-user": "beta-.*"} if shape == "list" else [{"x-user": "beta-.*"}]
    says = trial.says(changed(group, (*body(group), "matches", 0, "headers"), other))
    observe(f"declared as a {shape}; written so: {kept}; written in the other shape: {says}")


@requirement("CRD-008", level="B", versions=("v1alpha4",), api=SPECS, spec="CRDs: ports")
def test_ports_are_whole_numbers(trial, apis, observe):
    """The `matches` of a TCPRoute or UDPRoute need `ports`, a list of whole numbers."""
    for kind in ("TCPRoute", *(["UDPRoute"] if apis.version(SPECS, "UDPRoute") else [])):
        route, ports = trial.whole(kind), ("spec", "matches", "ports")
        trial.accepts(route, f"a {kind} with ports 8080 and 9090")
        trial.refuses(without(route, ports), f"a {kind} whose matches have no ports")
        for value in (["http"], ["8080"], [80.5], 8080):
            trial.refuses(changed(route, ports, value), f"a {kind} with ports {value}")
        observe(f"{kind} with an empty spec: {trial.says(changed(route, ('spec',), {}))}")


@requirement("CRD-009", level="N", versions=("v1",), api=DEFINITIONS, spec="CRDs: spec")
def test_objects_that_say_nothing(trial, definitions, observe):
    """Whether an object that has no `spec` at all is taken: the SDK's definitions do not require it."""
    for kind, version in definitions.served():
        whole = trial.whole(kind)
        nothing = {field: whole[field] for field in ("apiVersion", "kind", "metadata")}
        observe(f"{kind} {version}: {trial.says(nothing)}")


@requirement("CRD-010", level="B", versions=("v1",), api=DEFINITIONS, spec="CRDs: misplaced fields")
def test_misplaced_fields_are_not_kept(trial, definitions, observe):
    """A field that a version does not have where it stands is not stored; the rest is, as it was written."""
    kept = []
    for kind, version in definitions.served():
        whole = trial.whole(kind)
        trial.accepts(whole, f"a {kind} as {version} has it")
        holder, field, value = _misplaced(kind, whole)
        read = trial.stored(changed(whole, (*holder, field), value))
        if read is None:
            observe(f"{kind} {version} with {_name((*holder, field))}: refused")
            continue
        kept += [f"{kind} {version}: {loss}" for loss in lacking(_said(whole), _said(read))]
        kept += [f"{kind} {version}: {_name((*holder, field))} is kept"] if field in at(read, holder) else []
    if kept:
        raise Nonconformance("unknown fields to be dropped and all others kept", "; ".join(kept))


@requirement("CONV-001", level="B", versions=("v1",), api=DEFINITIONS, spec="CRDs: versions")
def test_versions_say_the_same(trial, definitions, observe):
    """What is written in one served version is read in all others, as far as they and the stored one can say it."""
    losses, inherent = [], []
    for each, versions in definitions.several():
        for version in versions:
            for obj in _samples(trial, each.kind, version):
                for loss in trial.conversions(obj, each, versions):
                    (losses if loss.judged else inherent).append(f"{each.kind} {loss}")
    for each in dict.fromkeys(inherent):
        observe(each)
    if losses:
        told = list(dict.fromkeys(losses))
        more = [f"and {len(told) - 6} more"] if len(told) > 6 else []
        raise Nonconformance("the same to be said in every version", "\n       ".join([*told[:6], *more]))


def _samples(trial, kind, version):
    whole = trial.whole(kind, version)
    if (kind, version) != ("TrafficSplit", "v1alpha1"):
        return [whole]
    # A quantity in thousandths beside a whole one: 500m is half of 1, not 500 times as much.
    halves = changed(trial.whole(kind, version), ("spec", "backends", 0, "weight"), "500m")
    return [whole, changed(halves, ("spec", "backends", 1, "weight"), "1")]


def _misplaced(kind, obj):
    """A field where this version does not have it, as people misplace it who know another one."""
    top = body(obj)
    if kind == "HTTPRouteGroup":
        return ((), "matches", obj["spec"]["matches"]) if top else ((), "spec", {"matches": obj["matches"]})
    if kind == "TrafficTarget" and top and "port" not in obj["spec"]["destination"]:
        return (*top, "destination"), "port", 8080
    return top, "weights", [1]


def _said(obj):
    return {field: value for field, value in obj.items() if field not in ("apiVersion", "kind", "metadata", "status")}


def _name(path):
    return ".".join(str(step) for step in path)
