{{- /* What Helm adds to the labels that kustomize has too. */ -}}
{{- define "titanic.labels" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- /* By digest when there is one: the tag is then only for people who read the values. */ -}}
{{- define "titanic.image" -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end }}
{{- end }}

{{- define "titanic.config" -}}
{{- $config := dict "PORT" "8080" "ADMIN_PORT" "8081" "DATABASE_URL" "" "DB_NAME" "titanic" }}
{{- $_ := set $config "ENVIRONMENT" .Values.environment }}
{{- $_ := set $config "LOG_LEVEL" .Values.logLevel }}
{{- $_ := set $config "DRAIN_SECONDS" (toString .Values.drainSeconds) }}
{{- $_ := set $config "MAX_CONNECTIONS" (toString .Values.database.maxConnections) }}
{{- $_ := set $config "API_BASE_URL" .Values.baseUrl }}
{{- if eq .Values.database.kind "postgres" }}
{{- $_ := set $config "DB_HOST" "postgres" }}
{{- $_ := set $config "DB_SSLMODE" "disable" }}
{{- $_ := set $config "DB_USER" "titanic" }}
{{- else }}
{{- $_ := set $config "DB_HOST" .Values.database.managed.host }}
{{- $_ := set $config "DB_SSLMODE" .Values.database.managed.tls }}
{{- $_ := set $config "DB_USER_FILE" "/run/secrets/titanic/username" }}
{{- end }}
{{- toYaml $config }}
{{- end }}
