"""The controllers of the sandbox: what the controller manager, kube-proxy and CoreDNS do in a cluster."""

from conformance.sandbox.controllers.base import Controller
from conformance.sandbox.controllers.cluster import NODE, populate, set_node_status
from conformance.sandbox.controllers.deployment import DeploymentController
from conformance.sandbox.controllers.endpoints import EndpointController
from conformance.sandbox.controllers.job import JobController
from conformance.sandbox.controllers.namespaces import NamespaceController, service_account_admission
from conformance.sandbox.controllers.replicaset import ReplicaSetController
from conformance.sandbox.controllers.servicetable import ServiceTable

__all__ = [
    "NODE",
    "Controller",
    "DeploymentController",
    "EndpointController",
    "JobController",
    "NamespaceController",
    "ReplicaSetController",
    "ServiceTable",
    "populate",
    "service_account_admission",
    "set_node_status",
]
