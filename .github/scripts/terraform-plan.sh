#!/usr/bin/env bash
# terraform-plan.sh ENVIRONMENT: plans, and saves the plan beside the state, under this run and commit. A plan holds
# values in the clear: the bucket is encrypted and private, an artefact of a run can be read by everybody who reads the
# repository.
set -euo pipefail

readonly environment=${1:?usage: terraform-plan.sh ENVIRONMENT}
: "${STATE_BUCKET:?}" "${STATE_KEY:?}" "${TFVARS:?what terraform.tfvars says}" "${AWS_REGION:?}" "${GITHUB_SHA:?}" "${GITHUB_RUN_ID:?}"

cd "$(dirname "${BASH_SOURCE[0]}")/../../terraform/environment"
readonly plan=${RUNNER_TEMP:-/tmp}/$environment.tfplan
# names and digests, none of which is a secret
printf '%s\n' "$TFVARS" >"$plan.tfvars"
terraform init -backend-config="key=$environment/terraform.tfstate" -backend-config="bucket=$STATE_BUCKET" -backend-config="kms_key_id=$STATE_KEY" \
  -backend-config="region=$AWS_REGION" -lockfile=readonly
terraform plan -var-file="$environment.tfvars" -var-file="$plan.tfvars" -out="$plan" -lock-timeout=5m
terraform show -no-color "$plan" >"$plan.txt"
aws s3 cp --only-show-errors --sse aws:kms --sse-kms-key-id "$STATE_KEY" \
  "$plan" "s3://$STATE_BUCKET/plans/$environment/$GITHUB_RUN_ID/$GITHUB_SHA.tfplan"
# another run that may plan could write over it while somebody looks: the run that applies it knows its sum
sum=$(sha256sum "$plan")
if [[ -n ${GITHUB_OUTPUT:-} ]]; then
  echo "$environment=${sum%% *}" >>"$GITHUB_OUTPUT"
fi
# for people: what happens, without values
if [[ -n ${GITHUB_STEP_SUMMARY:-} ]]; then
  {
    printf '### %s\n\n' "$environment"
    grep --extended-regexp '^  # .* (will|must) be |^Plan: |^No changes' "$plan.txt" | sed 's/^/    /' || true
  } >>"$GITHUB_STEP_SUMMARY"
fi
if [[ ${FAIL_ON_CHANGES:-} == true ]] && ! grep --quiet '^No changes' "$plan.txt"; then
  echo "what runs in $environment is not what terraform says" >&2
  exit 1
fi
