#!/usr/bin/env bash
# terraform-apply.sh ENVIRONMENT: applies the plan that this run saved, and nothing else. terraform refuses it when the
# state has moved on since.
set -euo pipefail

readonly environment=${1:?usage: terraform-apply.sh ENVIRONMENT}
: "${STATE_BUCKET:?}" "${GITHUB_SHA:?}" "${GITHUB_RUN_ID:?}"

cd "$(dirname "${BASH_SOURCE[0]}")/../../terraform/environments/$environment"
readonly plan=${RUNNER_TEMP:-/tmp}/$environment.tfplan
aws s3 cp --only-show-errors "s3://$STATE_BUCKET/plans/$GITHUB_RUN_ID/$GITHUB_SHA/$environment.tfplan" "$plan"
terraform init -backend-config="bucket=$STATE_BUCKET" -lockfile=readonly
terraform apply -lock-timeout=5m "$plan"
