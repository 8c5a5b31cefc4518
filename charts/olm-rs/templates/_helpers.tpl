{{- define "olm-rs.labels" -}}
app.kubernetes.io/part-of: olm-rs
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/instance: {{ .Release.Name }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{/* Flags that every component takes. */}}
{{- define "olm-rs.commonArgs" -}}
- --system-namespace=$(POD_NAMESPACE)
- --health-probe-bind-address=:8081
- --metrics-bind-address=:8080
- --log-level={{ .Values.log.level }}
- --log-format={{ .Values.log.format }}
{{- end -}}

{{- define "olm-rs.leaderArgs" -}}
{{- if .Values.leaderElection.enabled }}
- --leader-elect
- --leader-elect-lease-duration={{ .Values.leaderElection.leaseDuration }}
- --leader-elect-renew-deadline={{ .Values.leaderElection.renewDeadline }}
- --leader-elect-retry-period={{ .Values.leaderElection.retryPeriod }}
{{- end }}
{{- end -}}

{{/*
One component: Deployment and ServiceAccount.
Takes a dict: root, name, settings (its block of the values), command (list), args (text),
ports (list of name and port), cache (path of its storage, or empty), pulls (whether it pulls images).
*/}}
{{- define "olm-rs.component" -}}
{{- $root := .root -}}
{{- $claim := and .cache .settings.storage.existingClaim -}}
{{- if and $claim (gt (int .settings.replicas) 1) -}}
{{- fail (printf "%s: %d replicas cannot share the claim %q: set replicas to 1 or leave existingClaim empty" .name (int .settings.replicas) $claim) -}}
{{- end -}}
{{- if and .cache (gt (int .settings.replicas) 1) (not $root.Values.leaderElection.enabled) -}}
{{- fail (printf "%s: %d replicas need leaderElection.enabled, or all of them would act at once" .name (int .settings.replicas)) -}}
{{- end -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    app.kubernetes.io/name: {{ .name }}
    {{- include "olm-rs.labels" $root | nindent 4 }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    app.kubernetes.io/name: {{ .name }}
    {{- include "olm-rs.labels" $root | nindent 4 }}
spec:
  replicas: {{ .settings.replicas }}
  {{- if $claim }}
  # The new pod can have the volume only once the old one has let go of it.
  strategy: {type: Recreate}
  {{- end }}
  selector:
    matchLabels:
      app.kubernetes.io/name: {{ .name }}
      app.kubernetes.io/instance: {{ $root.Release.Name }}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {{ .name }}
        {{- include "olm-rs.labels" $root | nindent 8 }}
      annotations:
        kubectl.kubernetes.io/default-container: {{ .name }}
    spec:
      serviceAccountName: {{ .name }}
      terminationGracePeriodSeconds: 30
      {{- with $root.Values.image.pullSecrets }}
      imagePullSecrets:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $root.Values.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $root.Values.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $root.Values.affinity }}
      affinity:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      securityContext:
        runAsNonRoot: true
        runAsUser: 65532
        fsGroup: 65532
        seccompProfile: {type: RuntimeDefault}
      containers:
        - name: {{ .name }}
          image: {{ $root.Values.image.repository }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          command:
            {{- toYaml .command | nindent 12 }}
          args:
            {{- include "olm-rs.commonArgs" $root | nindent 12 }}
            {{- .args | trim | nindent 12 }}
          env:
            - name: POD_NAME
              valueFrom: {fieldRef: {fieldPath: metadata.name}}
            - name: POD_NAMESPACE
              valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
            {{- with $root.Values.extraEnv }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
          ports:
            - {name: metrics, containerPort: 8080}
            - {name: probes, containerPort: 8081}
            {{- range .ports }}
            - {name: {{ .name }}, containerPort: {{ .port }}}
            {{- end }}
          livenessProbe:
            httpGet: {path: /healthz, port: probes}
            initialDelaySeconds: 15
            periodSeconds: 20
          readinessProbe:
            httpGet: {path: /readyz, port: probes}
            periodSeconds: 5
          resources:
            {{- toYaml .settings.resources | nindent 12 }}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
          volumeMounts:
            - {name: tmp, mountPath: /tmp}
            {{- if .cache }}
            - {name: cache, mountPath: {{ .cache }}}
            {{- end }}
            {{- if and .pulls $root.Values.registryCA.configMap }}
            - {name: registry-ca, mountPath: /etc/olm-rs/registry-ca, readOnly: true}
            {{- end }}
      volumes:
        - name: tmp
          emptyDir: {}
        {{- if .cache }}
        - name: cache
          {{- if $claim }}
          persistentVolumeClaim: {claimName: {{ $claim }}}
          {{- else }}
          emptyDir: {}
          {{- end }}
        {{- end }}
        {{- if and .pulls $root.Values.registryCA.configMap }}
        - name: registry-ca
          configMap: {name: {{ $root.Values.registryCA.configMap }}}
        {{- end }}
{{- end -}}

{{/* Flags of the components that pull images. */}}
{{- define "olm-rs.registryArgs" -}}
{{- range .Values.plainHTTPRegistries }}
- --plain-http-registry={{ . }}
{{- end }}
{{- range .Values.registryMirrors }}
{{- $source := .source }}
{{- range .mirrors }}
- --registry-mirror={{ $source }}={{ . }}
{{- end }}
{{- end }}
{{- if .Values.registryCA.configMap }}
- --registry-ca-file=/etc/olm-rs/registry-ca/{{ .Values.registryCA.key }}
{{- end }}
{{- end -}}
