"""What of settings may be published: nothing that looks like a credential, no addresses.

It errs on the side of leaving out. A digest still tells whether two clusters have the same setting; what is short
enough to be guessed has none.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Sequence
from typing import Any, Final

MAX_VALUE: Final = 1024
"""The longest value of a setting that is kept, in characters."""
OMITTED: Final = "[left out: looks like a credential]"
_GUESSABLE: Final = 64

_SECRET_WORD: Final = re.compile(
    r"(?i)(secret|token|passw|passphrase|credential|private|api[-_.]?key|access[-_.]?key|encryption|signing|bearer|"
    r"authorization|(^|[-_.])(auth|key|cert|crt|pem|salt|dsn)$)")
_ASSIGNED: Final = re.compile(
    r"(?i)(secret|token|passw|passphrase|credential|private|api[-_.]?key|access[-_.]?key|bearer|authorization)"
    r"[^\n:=]{0,40}[:=]\s*[^\s{\[\"']|-----BEGIN|LS0tLS1CRUdJTi|://[^/\s:@]+:[^/\s@]+@|"
    r"\beyJ[\w-]{8,}\.|\bAKIA[A-Z0-9]{16}|\bgh[opsur]_[A-Za-z0-9]{20}|\bxox[abp]-")
_OPAQUE: Final = re.compile(r"[A-Za-z0-9+/_=-]{24,}")
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
_ADDRESS: Final = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)|(?:[0-9A-Fa-f]{0,4}:){2,7}[0-9A-Fa-f]{0,4}(?![\w:]|\.\d))")
_WEB: Final = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]{1,15}://)(?P<host>[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})+)")
_HERE: Final = (".svc", ".local")


def secret_name(name: str) -> bool:
    """Whether what has such a name is likely to be a credential."""
    return bool(_SECRET_WORD.search(name))


def secret_looking(text: str) -> bool:
    """Whether a text gives a credential by name, or has in it what could be one: a long word of mixed characters."""
    if _ASSIGNED.search(text):
        return True
    return any(_opaque(word) for word in _OPAQUE.findall(_DIGEST.sub("", text)))


def _opaque(word: str) -> bool:
    kinds = (any(c.isdigit() for c in word), any(c.islower() for c in word), any(c.isupper() for c in word))
    # Names of many words (`pilot-discovery-validation-v2`) have few digits for their length.
    return sum(kinds) == 3 or (kinds[0] and sum(c.isdigit() for c in word) * 6 >= len(word))


def without_addresses(text: str) -> str:
    """The text with every address taken out, but those that are the same on every machine, or within a cluster."""
    return _ADDRESS.sub(_masked, _WEB.sub(_hostless, text))


def _hostless(found: re.Match[str]) -> str:
    host = found["host"].lower()
    inside = host.endswith(_HERE) or host.replace(".", "").isdigit()  # an address is looked at for itself
    return found[0] if inside else f"{found['scheme']}[host]"


def _masked(found: re.Match[str]) -> str:
    try:
        address = ipaddress.ip_address(found[0])
    except ValueError:
        return found[0]  # a version, or a moment
    return found[0] if address.is_loopback or address.is_unspecified else "[address]"


def setting(name: str, value: str) -> dict[str, Any]:
    """What is kept of a setting: its size, its digest, and the value where it is small and harmless."""
    data = value.encode("utf-8", "replace")
    kept: dict[str, Any] = {"size": len(data)}
    secret = secret_name(name) or secret_looking(value)
    if not (secret and len(data) < _GUESSABLE):
        kept["digest"] = "sha256:" + hashlib.sha256(data).hexdigest()
    if secret:
        kept["value"] = OMITTED
    elif len(value) <= MAX_VALUE:
        kept["value"] = without_addresses(value)
    return kept


def words(arguments: Sequence[str], limit: int = 64) -> list[str]:
    """A command line as it may be published."""
    kept: list[str] = []
    before = ""
    for argument in arguments[:limit]:
        name, equals, value = argument.partition("=")
        if equals and (secret_name(name) or secret_looking(value)):
            kept.append(f"{name}={OMITTED}")
        elif (before.startswith("-") and "=" not in before and secret_name(before) and not argument.startswith("-")) \
                or secret_looking(argument):
            kept.append(OMITTED)
        else:
            kept.append(without_addresses(argument)[:MAX_VALUE])
        before = argument
    return [*kept, "…"] if len(arguments) > limit else kept
