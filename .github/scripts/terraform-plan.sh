#!/usr/bin/env bash
# terraform-plan.sh ENVIRONMENT: plans, and saves the plan beside the state, under this run and commit. A plan holds
# values in the clear: the bucket is encrypted and private, an artefact of a run can be read by everybody who reads the
# repository.
set -euo pipefail

readonly environment=${1:?usage: terraform-plan.sh ENVIRONMENT}
: "${STATE_BUCKET:?}" "${GITHUB_SHA:?}" "${GITHUB_RUN_ID:?}"

cd "$(dirname "${BASH_SOURCE[0]}")/../../terraform/environments/$environment"
readonly plan=${RUNNER_TEMP:-/tmp}/$environment.tfplan
terraform init -backend-config="bucket=$STATE_BUCKET" -lockfile=readonly
terraform plan -out="$plan" -lock-timeout=5m
terraform show -no-color "$plan" >"$plan.txt"
aws s3 cp --only-show-errors "$plan" "s3://$STATE_BUCKET/plans/$GITHUB_RUN_ID/$GITHUB_SHA/$environment.tfplan"
# for people: what happens, without values
if [[ -n ${GITHUB_STEP_SUMMARY:-} ]]; then
  {
    printf '### %s\n\n' "$environment"
    grep --extended-regexp '^  # .* (will|must) be |^Plan: |^No changes' "$plan.txt" | sed 's/^/    /' || true
  } >>"$GITHUB_STEP_SUMMARY"
fi
