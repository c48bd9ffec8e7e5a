//go:build tools

// Package istio pins the programs of Istio that the testbed builds, and all that they are built from.
//
// Istio asks for versions between releases of its own API modules and of Envoy's, which registries need not keep.
// go.mod asks for later ones (istio.io/api, istio.io/client-go, go-control-plane/envoy, go-control-plane/contrib),
// and the latest version that is asked for is the one that is taken.
package istio

import (
	_ "istio.io/istio/istioctl/cmd/istioctl"
	_ "istio.io/istio/pilot/cmd/pilot-agent"
	_ "istio.io/istio/pilot/cmd/pilot-discovery"
)
