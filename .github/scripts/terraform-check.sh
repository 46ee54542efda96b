#!/usr/bin/env bash
# Format, validity and tests of every module and environment. No credentials, no state.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../../terraform"
terraform fmt -check -recursive -diff
for folder in bootstrap modules/* environments/*; do
  [[ -d $folder ]] || continue
  echo "::group::$folder"
  # modules have no lock: the environments that use them do
  locked=()
  if [[ -f $folder/.terraform.lock.hcl ]]; then
    locked=(-lockfile=readonly)
  fi
  terraform -chdir="$folder" init -backend=false "${locked[@]}"
  terraform -chdir="$folder" validate
  terraform -chdir="$folder" test
  echo '::endgroup::'
done
