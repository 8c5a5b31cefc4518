//go:build tools

// Package tools pins the commands that the control plane is made of.
package tools

import (
	_ "helm.sh/helm/v3/cmd/helm"
)
