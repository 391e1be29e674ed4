// Only their CRDs are taken from these modules: no code of theirs is compiled. What was current when Kubernetes 1.30 came,
// and the first Gateway API with what we render.
module nexus.dev/test/tools/crds-oldest

go 1.26.0

require (
	github.com/cert-manager/cert-manager v1.14.4
	github.com/kedacore/keda/v2 v2.14.0
	github.com/prometheus-operator/prometheus-operator v0.73.2
	sigs.k8s.io/gateway-api v1.2.0
)
