//go:build tools

// Package gateway pins the Gateway API's own conformance suite, and all that it is built from.
//
// What is built is a test binary, as `go test -c` makes it, of the package that is imported here.
package gateway

import (
	_ "sigs.k8s.io/gateway-api/conformance"
)
