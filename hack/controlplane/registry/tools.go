//go:build tools

// Package tools pins the commands that the control plane is made of.
package tools

import (
	_ "github.com/distribution/distribution/v3/cmd/registry"
)
