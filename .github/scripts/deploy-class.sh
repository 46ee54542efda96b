#!/usr/bin/env bash
# deploy-class.sh ENVIRONMENT: prints a digest of the manifests that an environment on Kubernetes is made of, without the class of
# the change. bump.sh writes it beside a class, and a check refuses other manifests under a class that was not meant for them.
set -euo pipefail

readonly environment=${1:?usage: deploy-class.sh ENVIRONMENT}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[[ -d k8s/overlays/$environment ]] || { echo "there is no environment $environment" >&2; exit 2; }

find k8s/base k8s/components "k8s/images/$environment" "k8s/overlays/$environment" -name '*.yaml' -print0 |
  LC_ALL=C sort --zero-terminated |
  while IFS= read -r -d '' file; do
    printf '%s\n' "$file"
    sed '/^  DEPLOY_CLASS\(_OF\)\{0,1\}: /d' "$file"
  done |
  sha256sum | cut --characters=-16
