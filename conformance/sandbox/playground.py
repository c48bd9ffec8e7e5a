"""The sandbox for a person: started with its mesh and the sample workloads, and kept until Ctrl-C."""

from __future__ import annotations

import secrets
import threading

from conformance import smi
from conformance.exit_code import ExitCode
from conformance.options import Settings
from conformance.place import mesh_in, open_place
from conformance.topology import Topology

_GUIDE = """
The sandbox is up: an API server, the mesh "{mesh}", and sample workloads, each with an Envoy of its own. In another
terminal:

  export KUBECONFIG={kubeconfig}
  kubectl get pods -A
  kubectl -n {namespace} get services

{split}  # send 100 requests from the pod {client}
  echo '{{"sample": "try", "count": 100, "requests": [{{"url": "http://v1:8080/"}}]}}' |
    kubectl create --raw /api/v1/namespaces/{namespace}/pods/{client}:19000/proxy/batch -f -

Addresses that it shows (10.x.x.x) exist only inside it. Ctrl-C ends it and removes everything.
"""

_SPLIT = """  # divide the traffic for Service v1
  kubectl -n {namespace} apply -f - <<'END'
  apiVersion: split.smi-spec.io/{version}
  kind: TrafficSplit
  metadata: {{name: rollout}}
  spec: {{service: v1, backends: [{{service: v2, weight: 90}}, {{service: v3, weight: 10}}]}}
  END
  kubectl -n {namespace} describe trafficsplit rollout

"""


def play(settings: Settings) -> int:
    """Start the sandbox, say what to type, and wait for Ctrl-C. Raises what starting it raises."""
    with open_place(settings) as cluster:
        topology = Topology(cluster, mesh_in(settings, settings.meshes[0]), secrets.token_hex(3))
        topology.provision()
        version = smi.served_apis(cluster).version(smi.SPLIT, "TrafficSplit")
        print(_GUIDE.format(
            mesh=topology.mesh.title, kubeconfig=cluster.source, namespace=topology.namespace(),
            split=_SPLIT.format(namespace=topology.namespace(), version=version) if version else "",
            client=topology.pod("client").name,
        ), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("\nremoving the sandbox")
    return ExitCode.CONFORMANT
