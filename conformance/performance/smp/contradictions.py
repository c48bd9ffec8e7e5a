"""What cannot be meant in a PerformanceTestConfig, although each of its fields has the right type."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from conformance.performance import durations
from conformance.performance.smp import endpoint, options
from conformance.performance.smp.document import Item
from conformance.performance.smp.endpoint import Endpoint
from conformance.performance.smp.fields import ENUMS
from conformance.performance.smp.shape import Finding, member

DEFAULT_DURATION: Final = "30s"
"""What mesheryctl takes where a file gives no duration."""
MOST_CONNECTIONS: Final = 20_000
"""Of one client; about as many ports as an address has to connect from."""
MOST_RPS: Final = 1_000_000
LONGEST: Final = 7 * 24 * 3600.0
"""Seconds."""

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_COOKIE: Final = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")  # RFC 6265, section 4.1.1
_INVALID: Final = 0

Values = Mapping[str, Any]


def check(item: Item, values: Values) -> Iterator[Finding]:
    """Give what is wrong with a configuration whose shape was read before; `item` tells the places."""
    yield from _duration(member(item, "duration"), values.get("duration", DEFAULT_DURATION))
    clients = values.get("clients", ())
    place = member(item, "clients")
    if place is item or place.value in (None, ()):
        yield Finding("no-client", place.place, "there is no client, so nothing would be sent",
                      "Give at least one under clients, with endpoint_urls.")
    for number, (where, client) in enumerate(zip(place.elements, clients, strict=True)):
        if not isinstance(where.value, Mapping):
            continue
        yield from _client(where, client)
        yield from _options(where, client, values)
        if client and client in clients[:number]:
            yield Finding("same-client", where.place, f"it is the same as clients[{clients.index(client)}]",
                          "Give one client with the sum of their rps and connections.")


def _duration(item: Item, text: str) -> Iterator[Finding]:
    try:
        seconds = durations.parse(text)
    except durations.DurationError as error:
        yield Finding("duration-invalid", item.place, str(error))
        return
    if seconds < 0:
        yield Finding("duration-invalid", item.place, f"a test cannot last {text}")
    elif seconds == 0:
        yield Finding("duration-invalid", item.place, "a duration of 0 means without end to some load generators and "
                      "not at all to others", "Say how long, such as 30s.")
    elif seconds > LONGEST:
        yield Finding("out-of-range", item.place, f"{text} is more than {LONGEST / 86400:.0f} days",
                      "Is the unit right?")


def _client(item: Item, client: Values) -> Iterator[Finding]:
    yield from _numbers(item, client)
    yield from _endpoints(item, client)
    yield from _headers(item, client)
    if client.get("content_type") and not client.get("body"):
        yield Finding("contradiction", member(item, "content_type").place, "a content_type without a body",
                      "Give the body, or leave the content_type out.")


def _numbers(item: Item, client: Values) -> Iterator[Finding]:
    for name, least, most in (("connections", 1, MOST_CONNECTIONS), ("rps", 0, MOST_RPS)):
        value = client.get(name, 1)
        place = member(item, name).place
        if value < least:
            meaning = "; 0 is as many as possible" if least == 0 else ""
            yield Finding("out-of-range", place, f"{name} cannot be {value}: at least {least}{meaning}")
        elif value > most:
            yield Finding("out-of-range", place, f"{name} {value} is more than the {most} that one client can have",
                          "Spread it over several clients.")
    urls = client.get("endpoint_urls", ())
    if 0 < client.get("connections", 1) < len(urls):
        yield Finding("contradiction", member(item, "connections").place,
                      f"{client.get('connections', 1)} connections cannot be shared by {len(urls)} endpoint_urls",
                      f"Give at least {len(urls)}.")


def _endpoints(item: Item, client: Values) -> Iterator[Finding]:
    where = member(item, "endpoint_urls")
    if where is item or where.value in (None, ()):
        yield Finding("no-endpoint", where.place, "the client has no endpoint_urls", "Give at least one URL.")
    if client.get("protocol") == _INVALID:
        yield Finding("invalid-protocol", member(item, "protocol").place, "0 is PROTOCOL_INVALID (it was http in early "
                      "releases)", "Write 1 for HTTP, 2 for TCP, or leave it out.")
    found: list[Endpoint] = []
    texts = [one for one in where.elements if isinstance(one.value, str)]
    urls = [str(one.value) for one in texts]
    for number, (place, url) in enumerate(zip(texts, urls, strict=True)):
        if url in urls[:number]:
            yield Finding("contradiction", place.place, f"{url[:100]} is given twice", "Leave one out.")
        try:
            found.append(endpoint.parse(url))
        except endpoint.EndpointError as error:
            yield Finding("bad-url", place.place, f"{url[:100]!r}: {error}")
            continue
        protocol = ENUMS["Protocol"][client.get("protocol", _INVALID)]
        if client.get("protocol") and protocol not in endpoint.SCHEMES[found[-1].scheme]:
            yield Finding("contradiction", place.place, f"{found[-1].scheme}:// does not go with {protocol}",
                          "Change one of the two.")
    if found:
        yield from _together(item, client, found)


def _together(item: Item, client: Values, found: Sequence[Endpoint]) -> Iterator[Finding]:
    if len({one.protocol for one in found}) > 1 and not client.get("protocol"):
        yield Finding("contradiction", member(item, "endpoint_urls").place,
                      "endpoint_urls of one client have different protocols", "Make a client of each.")
    if client.get("ssl_certificate") and not any(one.scheme in endpoint.WITH_TLS for one in found):
        yield Finding("certificate-without-tls", member(item, "ssl_certificate").place,
                      "a certificate is given, and no endpoint uses TLS", "Use https://, or leave it out.")
    if all(one.scheme in {"tcp", "udp"} for one in found):
        for name in ("headers", "cookies", "content_type"):
            if client.get(name):
                yield Finding("contradiction", member(item, name).place, f"{name} in a load of "
                              f"{found[0].scheme.upper()}, which has none", "Leave it out, or use an http:// endpoint.")


def _headers(item: Item, client: Values) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for name, value in client.get("headers", {}).items():
        place = member(item, "headers").members[name].place
        if not _TOKEN.fullmatch(name):
            yield Finding("bad-header", place, f"{name[:60]!r} is not the name of a header")
        if not _VALUE.fullmatch(value):
            yield Finding("bad-header", place, "a header's value has a line break or another character that cannot be "
                          "sent")
        if name.lower() in seen:
            yield Finding("contradiction", place, f"the same header as {seen[name.lower()]}")
        seen[name.lower()] = name
    for name, value in client.get("cookies", {}).items():
        if not _TOKEN.fullmatch(name) or not _COOKIE.fullmatch(value):
            yield Finding("bad-header", member(item, "cookies").members[name].place,
                          f"{name[:60]!r} cannot be sent as a cookie", "Encode what is not allowed in one.")
    if "cookie" in seen and client.get("cookies"):
        yield Finding("contradiction", member(item, "cookies").place, "cookies are given as a header Cookie as well",
                      "Keep one of the two.")
    stated = client.get("headers", {}).get(seen.get("content-type", ""), client.get("content_type"))
    if client.get("content_type") and stated != client["content_type"]:
        yield Finding("contradiction", member(item, "content_type").place,
                      f"content_type is {client['content_type']!r} and the header {stated!r}", "Keep one of the two.")


def _options(item: Item, client: Values, config: Values) -> Iterator[Finding]:
    text = client.get("additional_options", "")
    place = member(item, "additional_options").place
    try:
        found = options.parse(text, client.get("load_generator", ""))
    except options.OptionsError as error:
        yield Finding("bad-options", place, f"additional_options cannot be read: {error}")
        return
    stated: dict[str, float] = {name: client[name] for name in (options.RATE, options.CONNECTIONS) if name in client}
    with contextlib.suppress(KeyError, durations.DurationError):
        stated[options.DURATION] = durations.parse(config["duration"])
    for name, value in stated.items():
        other = found.get(name, value)
        if isinstance(other, float) and not math.isclose(other, value):
            yield Finding("contradiction", place, f"additional_options say {name} {other:g} and the field {value:g}",
                          "Keep one of the two.")
    if client.get("body") and found.get(options.METHOD) in {"GET", "HEAD"}:
        yield Finding("contradiction", place, f"a body, and {found[options.METHOD]}, which carries none",
                      "Leave the method out: a body is sent by POST.")
