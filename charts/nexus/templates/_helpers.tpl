{{- /* Names and labels are API: NetworkPolicies of every fleet find the operator by them. */}}

{{- define "nexus.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride }}
{{- else if hasSuffix "nexus-operator" .Release.Name }}{{ .Release.Name }}
{{- else if contains "nexus" .Release.Name }}{{ printf "%s-operator" .Release.Name }}
{{- else }}{{ printf "%s-nexus-operator" .Release.Name }}
{{- end }}
{{- end }}

{{- /* Of objects without a namespace: two releases do not meet. */}}
{{- define "nexus.clusterName" -}}
{{ include "nexus.fullname" . }}.{{ .Release.Namespace }}
{{- end }}

{{- define "nexus.serviceAccountName" -}}
{{- if .Values.serviceAccount.name }}{{ .Values.serviceAccount.name }}
{{- else if .Values.serviceAccount.create }}{{ include "nexus.fullname" . }}
{{- else }}{{ fail "serviceAccount.create is false: serviceAccount.name must name the one to use" }}
{{- end }}
{{- end }}

{{- define "nexus.selectorLabels" -}}
app.kubernetes.io/name: nexus-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "nexus.labels" -}}
{{ include "nexus.selectorLabels" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: nexus
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "nexus.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}
{{- else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end }}
{{- end }}
{{- end }}

{{- /* Whether something optional is wanted: (list mode context "group/version" or "group/version/Kind"); empty = no. */}}
{{- define "nexus.wanted" -}}
{{- $mode := index . 0 }}
{{- if or (eq $mode "Enabled") (and (eq $mode "Auto") ((index . 1).Capabilities.APIVersions.Has (index . 2))) }}yes{{- end }}
{{- end }}

{{- /* What no schema can say. */}}
{{- define "nexus.validate" -}}
{{- with .Values.watch }}
{{- if and (eq .scope "ListedNamespaces") (not .namespaces) }}
{{- fail "watch.scope is ListedNamespaces: watch.namespaces must name at least one" }}
{{- end }}
{{- if and (eq .scope "Cluster") .namespaces }}
{{- fail "watch.namespaces is only for watch.scope ListedNamespaces; with Cluster all namespaces are watched" }}
{{- end }}
{{- end }}
{{- with .Values.leaderElection }}
{{- if ge (int .renewSeconds) (int .leaseSeconds) }}{{ fail "leaderElection.renewSeconds must be less than leaderElection.leaseSeconds" }}{{ end }}
{{- if ge (int .retrySeconds) (int .renewSeconds) }}{{ fail "leaderElection.retrySeconds must be less than leaderElection.renewSeconds" }}{{ end }}
{{- end }}
{{- end }}

{{- define "nexus.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- define "nexus.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- /* The operator and its check read the same settings. */}}
{{- define "nexus.env" -}}
- name: NEXUS_OPERATOR_SERVER_IMAGE
  value: {{ .Values.serverImage | default (include "nexus.image" .) | quote }}
{{- with .Values.redisImage }}
- name: NEXUS_OPERATOR_REDIS_IMAGE
  value: {{ . | quote }}
{{- end }}
- name: NEXUS_OPERATOR_RUNBOOK_BASE_URL
  value: {{ .Values.monitoring.runbookBaseURL | quote }}
- name: NEXUS_OPERATOR_ID
  value: {{ .Values.operatorId | quote }}
- name: NEXUS_OPERATOR_WORKERS
  value: {{ .Values.workers | quote }}
- name: NEXUS_OPERATOR_LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- with .Values.tracing }}
{{- if .endpoint }}
- name: NEXUS_OPERATOR_TRACING_ENDPOINT
  value: {{ .endpoint | quote }}
- name: NEXUS_OPERATOR_TRACING_SAMPLE_PERCENT
  value: {{ .samplePercent | quote }}
{{- if .headersSecret }}
- name: NEXUS_OPERATOR_TRACING_HEADERS_FILE
  value: /etc/nexus/tracing/headers
{{- end }}
{{- end }}
{{- end }}
- name: NEXUS_OPERATOR_LEASE_NAME
  value: {{ include "nexus.fullname" . }}
- name: NEXUS_OPERATOR_LEASE_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- with .Values.leaderElection }}
- name: NEXUS_OPERATOR_LEASE_SECONDS
  value: {{ .leaseSeconds | quote }}
- name: NEXUS_OPERATOR_RENEW_SECONDS
  value: {{ .renewSeconds | quote }}
- name: NEXUS_OPERATOR_RETRY_SECONDS
  value: {{ .retrySeconds | quote }}
{{- end }}
{{- with .Values.watch.namespaces }}
- name: NEXUS_OPERATOR_NAMESPACE
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.watch.selector }}
- name: NEXUS_OPERATOR_SELECTOR
  value: {{ . | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
