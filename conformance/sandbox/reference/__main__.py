"""The reference mesh's control plane as a program: `python -m conformance.sandbox.reference`."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from conformance.cluster import Cluster, ClusterError
from conformance.sandbox.mutants import MUTANTS, OBSERVED, find
from conformance.sandbox.reference.behaviour import Behaviour
from conformance.sandbox.reference.control_plane import ControlPlane
from conformance.sandbox.reference.identity import IdentityError
from conformance.sandbox.reference.interception import NETWORKS
from conformance.sandbox.reference.metrics_server import MetricsServer

log = logging.getLogger(__name__)


def main() -> int:
    """Run until SIGTERM or SIGINT. Returns 1 when the control plane cannot start."""
    arguments = _parse()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    behaviour = find(arguments.mutant).behaviour if arguments.mutant else Behaviour()
    try:
        cluster = Cluster.in_pod(arguments.service_account)
        control_plane = ControlPlane(cluster, arguments.state, NETWORKS[arguments.network], behaviour,
                                     deny_by_default=arguments.access == "deny")
    except (ClusterError, IdentityError, OSError) as error:
        print(f"the control plane cannot start: {error}", file=sys.stderr)
        return 1
    MetricsServer(cluster, arguments.state, NETWORKS[arguments.network], behaviour.metrics).start()
    log.info("reference mesh on network %s, access by default: %s, mutant: %s", arguments.network, arguments.access,
             arguments.mutant or "none")
    # Files appear whole, so the program may end at any moment.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        control_plane.run(threading.Event())
    except KeyboardInterrupt:
        log.info("interrupted")
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m conformance.sandbox.reference", description=__doc__)
    parser.add_argument("--service-account", type=Path, required=True, metavar="DIRECTORY",
                        help="where the pod's service account is mounted")
    parser.add_argument("--state", type=Path, required=True, metavar="DIRECTORY",
                        help="what proxies read; the same directory in their pods")
    # The sandbox's node says in the environment what it is; manifests are the same everywhere.
    parser.add_argument("--network", choices=sorted(NETWORKS), default=os.environ.get("NODE_NETWORK", "cluster"),
                        help="how traffic gets into the sidecars (default: $NODE_NETWORK, or cluster)")
    parser.add_argument("--access", choices=["deny", "allow"], default="deny",
                        help="whether traffic that no TrafficTarget allows is denied; 'allow' enforces nothing")
    parser.add_argument("--mutant", choices=sorted({*MUTANTS, *OBSERVED}), metavar="NAME",
                        help="break one requirement on purpose")
    arguments = parser.parse_args()
    if arguments.network not in NETWORKS:
        parser.error(f"the environment's NODE_NETWORK is {arguments.network!r}, which is none of {', '.join(NETWORKS)}")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
