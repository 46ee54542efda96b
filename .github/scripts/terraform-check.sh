#!/usr/bin/env bash
# Format, validity and tests of every module, and of the environment with each of its sizes. No credentials, no state.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../../terraform"
terraform fmt -check -recursive -diff
for folder in bootstrap modules/* environment; do
  [[ -d $folder ]] || continue
  echo "::group::$folder"
  # modules have no lock: those that use them do
  locked=()
  if [[ -f $folder/.terraform.lock.hcl ]]; then
    locked=(-lockfile=readonly)
  fi
  terraform -chdir="$folder" init -backend=false "${locked[@]}"
  terraform -chdir="$folder" validate
  values=("$folder"/*.tfvars)
  if [[ -f ${values[0]} ]]; then
    for file in "${values[@]}"; do
      terraform -chdir="$folder" test -var-file="${file##*/}"
    done
  else
    terraform -chdir="$folder" test
  fi
  echo '::endgroup::'
done
