#!/usr/bin/env bash
# Writes the hashes of providers for those who run Terraform: GitHub's runners and laptops. With --check it fails when the
# committed ones differ or are missing, and shows what to commit.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../../terraform"
for root in bootstrap environment; do
  terraform -chdir="$root" providers lock -platform=linux_amd64 -platform=linux_arm64 -platform=darwin_arm64
done
if [[ ${1:-} == --check ]]; then
  git add --intent-to-add bootstrap/.terraform.lock.hcl environment/.terraform.lock.hcl
  git diff --exit-code -- bootstrap/.terraform.lock.hcl environment/.terraform.lock.hcl || {
    echo "commit the lock files above: .github/scripts/terraform-lock.sh writes them" >&2
    exit 1
  }
fi
