//go:build tools

// Package tools pins the commands that the control plane is made of.
package tools

import (
	_ "go.etcd.io/etcd/server/v3"
)
