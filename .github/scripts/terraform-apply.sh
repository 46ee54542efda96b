#!/usr/bin/env bash
# terraform-apply.sh ENVIRONMENT: applies the plan that this run saved, and nothing else. terraform refuses it when the
# state has moved on since.
set -euo pipefail

readonly environment=${1:?usage: terraform-apply.sh ENVIRONMENT}
: "${STATE_BUCKET:?}" "${STATE_KEY:?}" "${AWS_REGION:?}" "${PLANS:?the sums of the saved plans}" "${GITHUB_SHA:?}" "${GITHUB_RUN_ID:?}"

cd "$(dirname "${BASH_SOURCE[0]}")/../../terraform/environment"
readonly plan=${RUNNER_TEMP:-/tmp}/$environment.tfplan
aws s3 cp --only-show-errors "s3://$STATE_BUCKET/plans/$environment/$GITHUB_RUN_ID/$GITHUB_SHA.tfplan" "$plan"
saved=$(jq --exit-status --raw-output --arg environment "$environment" '.[$environment]' <<<"$PLANS")
sha256sum --check --strict --quiet <<<"$saved  $plan"
terraform init -backend-config="key=$environment/terraform.tfstate" -backend-config="bucket=$STATE_BUCKET" -backend-config="kms_key_id=$STATE_KEY" \
  -backend-config="region=$AWS_REGION" -lockfile=readonly
terraform apply -lock-timeout=5m "$plan"
