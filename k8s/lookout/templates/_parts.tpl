{{- define "lookout.selector" -}}
app.kubernetes.io/name: lookout
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* Metadata of an object; takes a list: the root, an ending of the name, labels and annotations of its own. */ -}}
{{- define "lookout.meta" -}}
{{- $root := index . 0 -}}
name: {{ $root.Release.Name }}{{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "lookout.selector" $root | nindent 2 }}
  app.kubernetes.io/component: agent
  {{- with merge (dict) (index . 2) $root.Values.labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (index . 3) $root.Values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "lookout.configMap" -}}
{{ .Values.existingConfigMap | default .Release.Name }}
{{- end }}

{{- define "lookout.runbookMap" -}}
{{ .Values.existingRunbooks | default (.Values.runbooks | empty | ternary "" (printf "%s-runbooks" .Release.Name)) }}
{{- end }}

{{- define "lookout.secret" -}}
{{ .Values.secrets.existing | default (ternary .Release.Name "" .Values.secrets.external.enabled) }}
{{- end }}

{{- /* The file that the agent reads, when no ConfigMap from elsewhere holds it. */ -}}
{{- define "lookout.config" -}}
{{- $own := dict "listen" "0.0.0.0:9797" "external_url" "${LOOKOUT_EXTERNAL_URL}" "environment" "${ENVIRONMENT}" "ledger" "${LOOKOUT_LEDGER}" "slos" (list "*.slo.yaml") }}
{{- if include "lookout.runbookMap" . }}
{{- $_ := set $own "generate" (dict "runbooks" "../runbooks") }}
{{- end }}
{{- toYaml (mergeOverwrite $own .Values.config) }}
{{- end }}

{{- define "lookout.host" -}}
{{ (urlParse .Values.externalUrl).host }}
{{- end }}

{{- /* The agent's container, for a pod of its own and for a sidecar. */ -}}
{{- define "lookout.container" -}}
name: lookout
image: {{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
imagePullPolicy: Always
env:
  - name: ENVIRONMENT
    value: {{ .Values.environment | quote }}
  - name: LOOKOUT_EXTERNAL_URL
    value: {{ required "externalUrl: the address by which people reach the agent" .Values.externalUrl | quote }}
  - name: LOOKOUT_LEDGER
    value: /var/lib/lookout/lookout.db
  - name: LOOKOUT_LISTEN
    value: 0.0.0.0:9797
  {{- with .Values.env }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  - name: lookout
    containerPort: 9797
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  privileged: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
livenessProbe:
  httpGet:
    path: /livez
    port: lookout
  initialDelaySeconds: 10
  periodSeconds: 10
  timeoutSeconds: 2
  failureThreshold: 3
volumeMounts:
  - name: lookout-config
    mountPath: /etc/lookout
    readOnly: true
  {{- if include "lookout.runbookMap" . }}
  - name: lookout-runbooks
    mountPath: /etc/runbooks
    readOnly: true
  {{- end }}
  {{- if include "lookout.secret" . }}
  - name: lookout-secret
    mountPath: /run/secrets/lookout
    readOnly: true
  {{- end }}
  {{- if and .Values.discovery.enabled (eq .Values.mode "standalone") }}
  - name: lookout-account
    mountPath: /var/run/secrets/kubernetes.io/serviceaccount
    readOnly: true
  {{- end }}
  - name: lookout-ledger
    mountPath: /var/lib/lookout
  {{- with .Values.volumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{- define "lookout.volumes" -}}
- name: lookout-config
  configMap:
    name: {{ include "lookout.configMap" . }}
    defaultMode: 292
{{- with include "lookout.runbookMap" . }}
- name: lookout-runbooks
  configMap:
    name: {{ . }}
    defaultMode: 292
{{- end }}
{{- if and .Values.discovery.enabled (eq .Values.mode "standalone") }}
# a token of its own, which the kubelet renews; the one that is mounted by default lasts longer
- name: lookout-account
  projected:
    defaultMode: 288
    sources:
      - serviceAccountToken:
          path: token
          expirationSeconds: 3600
      - configMap:
          name: kube-root-ca.crt
          items:
            - key: ca.crt
              path: ca.crt
      - downwardAPI:
          items:
            - path: namespace
              fieldRef:
                fieldPath: metadata.namespace
{{- end }}
{{- with include "lookout.secret" . }}
- name: lookout-secret
  secret:
    secretName: {{ . }}
    defaultMode: 288
    {{- with $.Values.secrets.keys }}
    items:
      {{- range . }}
      - key: {{ . }}
        path: {{ . }}
      {{- end }}
    {{- end }}
{{- end }}
{{- if or (eq .Values.mode "sidecar") (not .Values.ledger.persistent) }}
- name: lookout-ledger
  emptyDir:
    sizeLimit: 384Mi
{{- end }}
{{- with .Values.volumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
