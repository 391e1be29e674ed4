// Package main is CoreDNS with nothing but what a test cluster asks of it: answer names of Services on one address.
// The stock build carries fifty plugins more and is half as big again.
package main

import (
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/kubernetes"
)

func main() {
	coremain.Run()
}
