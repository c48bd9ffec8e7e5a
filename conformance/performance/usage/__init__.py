"""What a mesh consumes, read from kubelets or from Prometheus."""
