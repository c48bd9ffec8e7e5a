"""The node of the sandbox: pods as processes."""

from conformance.sandbox.kubelet.node import Kubelet
from conformance.sandbox.kubelet.pod import Node
from conformance.sandbox.kubelet.programs import Programs, envoy_binary
from conformance.sandbox.kubelet.volumes import Credentials

__all__ = ["Credentials", "Kubelet", "Node", "Programs", "envoy_binary"]
