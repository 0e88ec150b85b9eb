{{/*
Named templates. Each takes the chart's root context and reads `.Values.mynah` (the dependency's alias is `mynah`), or a
mapping with the keys `root` and `mynah` where a chart computes the values itself.

    spec:
      initContainers:
        {{- include "mynah-sidecar.nativeSidecar" . | nindent 8 }}     # or, in `containers`, "mynah-sidecar.container"
      volumes:
        {{- include "mynah-sidecar.volumes" . | nindent 8 }}
    ---
    {{ include "mynah-sidecar.configMap" . }}
*/}}

{{/* The values, wherever they come from. */}}
{{- define "mynah-sidecar.values" -}}
{{- if hasKey . "mynah" -}}
{{- toJson .mynah -}}
{{- else -}}
{{- toJson (required "mynah-sidecar: give the dependency the alias 'mynah'" .Values.mynah) -}}
{{- end -}}
{{- end }}

{{/* The name of the ConfigMap. */}}
{{- define "mynah-sidecar.configMapName" -}}
{{- $root := .root | default . -}}
{{- printf "%s-mynah" $root.Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{/* The configuration, as YAML. */}}
{{- define "mynah-sidecar.config" -}}
{{- $mynah := include "mynah-sidecar.values" . | fromJson -}}
{{- $application := printf "http://127.0.0.1:%d" (int $mynah.applicationPort) -}}
{{- $upstream := dict "url" $application -}}
{{- if and (eq $mynah.takeover "redirect") $mynah.preserveSource }}{{ $_ := set $upstream "preserve_source" true }}{{ end -}}
{{- $config := dict
  "listeners" (list (printf ":%d" (int $mynah.port)))
  "upstream" $upstream
  "admin" (dict "address" (printf "127.0.0.1:%d" (int $mynah.adminPort)) "metrics" (printf "0.0.0.0:%d" (int $mynah.metricsPort)))
  "drain_timeout" $mynah.drainTimeout
  "mirrors" ($mynah.mirrors | default dict) -}}
{{- with $mynah.routes }}{{ $_ := set $config "routes" . }}{{ end -}}
{{- if empty $config.mirrors }}{{ $_ := unset $config "mirrors" }}{{ end -}}
{{- mergeOverwrite $config (deepCopy ($mynah.config | default dict)) | toYaml -}}
{{- end }}

{{/* The ConfigMap. It is mounted whole, so that Mynah sees a change and applies it without a restart. */}}
{{- define "mynah-sidecar.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ include "mynah-sidecar.configMapName" . }}
data:
  mynah.yaml: |
    {{- include "mynah-sidecar.config" . | nindent 4 }}
{{- end }}

{{/* The volumes of the pod. */}}
{{- define "mynah-sidecar.volumes" -}}
- name: mynah-config
  configMap:
    name: {{ include "mynah-sidecar.configMapName" . }}
{{- end }}

{{/* What the container and the native sidecar have in common. */}}
{{- define "mynah-sidecar.body" -}}
{{- $mynah := include "mynah-sidecar.values" . | fromJson -}}
name: mynah
image: {{ $mynah.image | quote }}
imagePullPolicy: {{ $mynah.imagePullPolicy }}
args: [run, --config, /etc/mynah/mynah.yaml]
ports:
  - name: {{ $mynah.portName }}
    containerPort: {{ $mynah.port }}
  - name: mynah-metrics
    containerPort: {{ $mynah.metricsPort }}
env:
  - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
  - {name: POD_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
  - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
  - {name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
  {{- with $mynah.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumeMounts:
  - name: mynah-config
    mountPath: /etc/mynah
    readOnly: true
  {{- with $mynah.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
startupProbe:
  httpGet: {path: /healthz, port: mynah-metrics}
  periodSeconds: 1
  failureThreshold: 30
readinessProbe:
  httpGet: {path: /readyz, port: mynah-metrics}
  periodSeconds: 5
livenessProbe:
  httpGet: {path: /healthz, port: mynah-metrics}
  periodSeconds: 10
  timeoutSeconds: 5
lifecycle:
  preStop:
    exec: {command: [/mynah, wait, {{ $mynah.preStopSeconds }}s]}
securityContext:
  {{- if and (eq $mynah.takeover "redirect") $mynah.preserveSource }}
  # A capability that a container adds is root's alone.
  runAsNonRoot: false
  runAsUser: 0
  capabilities:
    drop: [ALL]
    add: [NET_ADMIN]
  {{- else }}
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  capabilities:
    drop: [ALL]
  {{- end }}
  readOnlyRootFilesystem: true
  allowPrivilegeEscalation: false
  seccompProfile: {type: RuntimeDefault}
resources:
  {{- toYaml $mynah.resources | nindent 2 }}
{{- end }}

{{/* An element of `containers`. */}}
{{- define "mynah-sidecar.container" -}}
- {{ include "mynah-sidecar.body" . | nindent 2 | trim }}
{{- end }}

{{/* An element of `initContainers`: a native sidecar, which starts before the application and ends after it. */}}
{{- define "mynah-sidecar.nativeSidecar" -}}
{{ include "mynah-sidecar.container" . }}
  restartPolicy: Always
{{- end }}

{{/* An element of `initContainers` that sends the application's traffic to Mynah, with `takeover: redirect`; else nothing. */}}
{{- define "mynah-sidecar.takeover" -}}
{{- $mynah := include "mynah-sidecar.values" . | fromJson -}}
{{- if eq $mynah.takeover "redirect" -}}
- name: mynah-takeover
  image: {{ $mynah.image | quote }}
  imagePullPolicy: {{ $mynah.imagePullPolicy }}
  args:
    - takeover
    - --port={{ $mynah.applicationPort }}
    - --to={{ $mynah.port }}
    {{- if $mynah.preserveSource }}
    - --preserve-source
    {{- end }}
  securityContext:
    runAsUser: 0
    runAsNonRoot: false
    readOnlyRootFilesystem: true
    allowPrivilegeEscalation: false
    capabilities:
      drop: [ALL]
      add: [NET_ADMIN]
    seccompProfile: {type: RuntimeDefault}
  resources:
    {{- toYaml $mynah.resources | nindent 4 }}
{{- end -}}
{{- end }}
