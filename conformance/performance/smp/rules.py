"""The linter's rules: what each finds, and why it matters."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

RULES: Final[Mapping[str, str]] = MappingProxyType({
    # Any file
    "unreadable": "The file is neither YAML nor JSON, or is cut off.",
    "unknown-document": "None of SMP's four messages has such fields.",
    "wrong-type": "A value has another type than its field.",
    "unknown-key": "The message has no such field (such as `p95`): strict readers refuse the file, others drop it.",
    "duplicate-key": "A key is given twice; readers keep one, and not all of them the same.",
    "earlier-name": "A name that an earlier release of SMP had.",
    "unreferenced-message": "CPU, Memory, Swap and EgressGateway are declared by SMP, and no field holds them.",
    "unknown-enum": "A number or name that the enumeration does not have.",
    "out-of-range": "A number that does not fit its field, or that nothing can have.",
    "camel-case": "Names as protojson writes them; Meshery and mesheryctl read only snake_case, and ignore these.",
    "enum-as-name": "An enumeration by name; mesheryctl reads only numbers.",
    "number-as-string": "A number as text, as protojson writes 64-bit ones; mesheryctl refuses it.",
    "missing-version": "No `smp_version`: nobody can tell which fields to expect.",
    "unknown-version": "An `smp_version` that was never published.",
    "missing-id": "Without an `id`, no other document can refer to this one.",
    "placeholder": "A text that Meshery's ConvertToSpec writes in place of a value.",
    "meshery-record": "What Meshery stores of a run; the values are fortio's, in seconds, and it is no message of SMP.",
    "older-shape": "A result as the samples in SMP's repository have it, which none of the published messages allows.",
    # Configurations
    "no-client": "No client: nothing is sent.",
    "no-endpoint": "A client without endpoint_urls.",
    "bad-url": "An endpoint that is no URL that can be asked.",
    "bad-header": "A header or cookie that cannot be sent.",
    "bad-options": "additional_options that cannot be read.",
    "contradiction": "Two fields cannot both be meant.",
    "same-client": "Two clients are the same.",
    "certificate-without-tls": "A certificate is given and no endpoint uses TLS.",
    "invalid-protocol": "The protocol is 0, PROTOCOL_INVALID.",
    "invalid-mesh": "The mesh is 0, INVALID_MESH, and no label says which it is.",
    "duration-invalid": "A duration that is none, or not above 0.",
    "duration-misread": "A duration of more than one unit, or of one that mesheryctl cuts wrongly (`1m30s`, `500ms`).",
    "first-endpoint-only": "More than one client or endpoint: mesheryctl runs the first endpoint of the first client.",
    "mesh-missing": "No `test:` and `mesh:`: mesheryctl refuses the file.",
    "unknown-generator": "A load generator that Meshery never had.",
    # Results
    "seconds-as-milliseconds": "Latencies that can only be seconds, in the field of milliseconds.",
    "negative-latency": "A latency below 0.",
    "percentiles-not-monotonic": "min ≤ p50 ≤ p90 ≤ p99 ≤ max does not hold.",
    "average-out-of-range": "The average is not between min and max.",
    "no-latencies": "A result without latencies, or with 0 in all of them.",
    "no-rate": "A result without a rate above 0.",
    "end-before-start": "The end is not after the start, or one of them is missing.",
    "time-not-utc": "A moment in another time zone; SMP wants UTC.",
    "rate-above-requested": "The rate is above what was asked for.",
    "count-mismatch": "Rate times length is not the number of requests that the labels state.",
    "shorter-than-requested": "The run was shorter than its configuration asks for.",
    "missing-link": "test_id, mesh_config_id or env_id is missing: what was measured, and on what, is not known.",
    "dangling-link": "An id that none of the files given has.",
    # Environments
    "no-nodes": "An environment without nodes, or with nodes without cores or memory.",
})
"""What each rule finds, by its id. Ids are stable."""


def describe() -> str:
    """Return all rules as a table in Markdown."""
    rows = [f"| `{rule}` | {text} |" for rule, text in RULES.items()]
    return "\n".join(["| rule | finds |", "| --- | --- |", *rows])
