#!/usr/bin/env bash
# Tells lookout that a deploy begins: the mark appears in its charts, its metrics and its ledger. Marking twice with the
# same key marks once, so a repeated job does no harm. Only a rollback goes on when the mark cannot be made.
set -euo pipefail

: "${LOOKOUT_URL:?}" "${LOOKOUT_TOKEN:?a token of the agent with the scope mark}" "${GATE_SERVICE:?}"
: "${DEPLOY_ENVIRONMENT:?}" "${DEPLOY_IMAGE:?}" "${DEPLOY_KEY:?what makes this deploy the same deploy}"

body=$(jq --null-input --arg service "$GATE_SERVICE" --arg environment "$DEPLOY_ENVIRONMENT" \
  --arg version "${DEPLOY_IMAGE##*@}" --arg commit "${DEPLOY_COMMIT:-}" --arg actor "${DEPLOY_ACTOR:-}" \
  --arg class "${GATE_CLASS:-feature}" \
  '{service: $service, environment: $environment, version: $version, commit: $commit, actor: $actor, class: $class}')
# by standard input, since every user of a machine can read the arguments of a process
if ! answer=$(curl --silent --show-error --fail-with-body --max-time 15 --retry 4 --retry-connrefused \
  --header @- --header 'Content-Type: application/json' --header "Idempotency-Key: $DEPLOY_KEY" \
  --data-raw "$body" "${LOOKOUT_URL%/}/api/v1/deploys" <<<"Authorization: Bearer $LOOKOUT_TOKEN"); then
  printf '%s\n' "$answer" >&2
  [[ ${GATE_CLASS:-feature} == rollback ]] || exit 1
  echo '::warning::lookout was not told of this rollback'
  exit 0
fi
id=$(jq --raw-output '.id' <<<"$answer")
echo "marked as $id"
if [[ -n ${GITHUB_OUTPUT:-} ]]; then
  echo "id=$id" >>"$GITHUB_OUTPUT"
fi
