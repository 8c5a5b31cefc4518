//go:build tools

// Package tools pins the commands that the control plane is made of.
package tools

import (
	_ "sigs.k8s.io/kwok/cmd/kwok"
)
