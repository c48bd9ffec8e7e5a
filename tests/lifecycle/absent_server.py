"""An aggregated API without a server, which keeps namespaces from being deleted."""

from __future__ import annotations

from contextlib import contextmanager


@contextmanager
def api_without_server(cluster):
    """As long as the context lasts there is an aggregated API that nobody serves; gives its name."""
    service = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
               "metadata": {"name": "v1.nobody.example.org"},
               "spec": {"group": "nobody.example.org", "version": "v1", "groupPriorityMinimum": 100,
                        "versionPriority": 1, "service": {"name": "nobody", "namespace": "default"},
                        "insecureSkipTLSVerify": True}}
    cluster.create(service)
    try:
        yield service["metadata"]["name"]
    finally:
        cluster.delete(service)
