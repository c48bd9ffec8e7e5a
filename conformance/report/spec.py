"""Where the specification of an API version can be read."""

from __future__ import annotations

import re
from typing import Final

_SMI: Final = {
    "access.smi-spec.io": "traffic-access",
    "metrics.smi-spec.io": "traffic-metrics",
    "specs.smi-spec.io": "traffic-specs",
    "split.smi-spec.io": "traffic-split",
}
_SMI_PAGE: Final = "https://github.com/servicemeshinterface/smi-spec/blob/main/apis/{name}/{version}/{name}.md"
_GATEWAY_PAGE: Final = "https://gateway-api.sigs.k8s.io/mesh/"
_VERSION: Final = re.compile(r"v[0-9]{1,3}(?:(?:alpha|beta)[0-9]{1,3})?")


def page(api: str, version: str) -> str:
    """Return the address of the page, empty for an API that none is known of. Both may be anything a record says."""
    if api in _SMI and _VERSION.fullmatch(version):
        return _SMI_PAGE.format(name=_SMI[api], version=version)
    return _GATEWAY_PAGE if api == "gateway.networking.k8s.io" else ""
