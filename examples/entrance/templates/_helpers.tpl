{{/* The values of the sidecar: those of the recipe, in the words of mynah-sidecar. */}}
{{- define "entrance.mynah" -}}
{{- $application := printf "http://127.0.0.1:%d" (int .Values.service.nodePortMirror) -}}
{{- $test := dict "url" .Values.mirrorProxyPass "ratio" .Values.mirrorRatio -}}
{{- if .Values.logs.hostPath }}{{ $_ := set $test "access_log" "/var/log/entrance/mirror.log" }}{{ end -}}
{{- $recipe := dict
  "image" .Values.nginx.image
  "takeover" "port"
  "port" .Values.service.nodePort
  "portName" "http"
  "applicationPort" .Values.service.nodePortMirror
  "mirrors" (dict "test" $test)
  "routes" (list
    (dict "match" (dict "prefix" "/entrance/") "upstream" (print $application "/") "mirrors" (list "test"))
    (dict "mirrors" list)) -}}
{{- if .Values.logs.hostPath -}}
  {{- $_ := set $recipe "volumeMounts" (list (dict "name" "logs" "mountPath" "/var/log/entrance")) -}}
  {{- $_ := set $recipe "config" (dict "access_log" "/var/log/entrance/production.log") -}}
{{- end -}}
{{- mergeOverwrite (deepCopy .Values.mynah) $recipe | toJson -}}
{{- end }}

{{/* The part of a pod that is the same with a mirror and without. Takes the root context, `port` and `mirrored`. */}}
{{- define "entrance.pod" -}}
{{- $root := .root -}}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
terminationGracePeriodSeconds: {{ $root.Values.terminationGracePeriodSeconds }}
{{- with $root.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          labelSelector: {matchLabels: {name: entrance}}
          topologyKey: kubernetes.io/hostname
{{- $waits := or $root.Values.wait.name (gt (int $root.Values.delay) 0) }}
{{- if or $waits $root.Values.logs.hostPath }}
initContainers:
  {{- if $root.Values.logs.hostPath }}
  # The kubelet makes the folder for root alone.
  - name: logs
    image: {{ $root.Values.wait.image }}
    command: [sh, -c, "chmod 1777 /var/log/entrance"]
    securityContext: {runAsUser: 0, allowPrivilegeEscalation: false}
    volumeMounts:
      - {name: logs, mountPath: /var/log/entrance}
  {{- end }}
  {{- if $waits }}
  - name: wait
    image: {{ $root.Values.wait.image }}
    command:
      - sh
      - -c
      - >-
        sleep {{ $root.Values.delay }}{{ with $root.Values.wait.name }}; until nslookup {{ . }} | grep -q "^Name:"; do sleep 1; done{{ end }}
    securityContext:
      runAsUser: 65532
      {{- include "entrance.restricted" $root | nindent 6 }}
  {{- end }}
{{- end }}
containers:
  {{- if .mirrored }}
  {{- include "mynah-sidecar.container" (dict "root" $root "mynah" (include "entrance.mynah" $root | fromJson)) | nindent 2 }}
  {{- end }}
  - name: entrance
    image: "{{ $root.Values.image.repository }}:{{ $root.Values.image.tag }}"
    args: [-host, "0.0.0.0:{{ .port }}"]
    ports:
      - containerPort: {{ .port }}
    env:
      - {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
      - {name: HOST_IP, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
      - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    {{- with $root.Values.livenessCommand }}
    livenessProbe:
      exec:
        command: {{ toJson . }}
    {{- end }}
    readinessProbe:
      tcpSocket: {port: {{ .port }}}
      periodSeconds: 2
    lifecycle:
      # Longer than that of Mynah, which sends to this container until its own has passed.
      preStop: {sleep: {seconds: 5}}
    securityContext:
      {{- include "entrance.restricted" $root | nindent 6 }}
    resources:
      {{- toYaml $root.Values.resources | nindent 6 }}
    {{- if $root.Values.logs.hostPath }}
    volumeMounts:
      - {name: logs, mountPath: /var/log/entrance}
    {{- end }}
{{- if or .mirrored $root.Values.logs.hostPath }}
volumes:
  {{- if .mirrored }}
  {{- include "mynah-sidecar.volumes" (dict "root" $root "mynah" dict) | nindent 2 }}
  {{- end }}
  {{- with $root.Values.logs.hostPath }}
  - name: logs
    hostPath: {path: {{ . }}, type: DirectoryOrCreate}
  {{- end }}
{{- end }}
{{- end }}

{{/* What PodSecurity `restricted` asks of a container. */}}
{{- define "entrance.restricted" -}}
runAsNonRoot: true
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end }}
