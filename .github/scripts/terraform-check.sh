#!/usr/bin/env bash
# Format, validity and tests of every module and environment. No credentials, no state.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../../terraform"
terraform fmt -check -recursive -diff
for folder in modules/* environments/*; do
  [[ -d $folder ]] || continue
  echo "::group::$folder"
  terraform -chdir="$folder" init -backend=false -lockfile=readonly
  terraform -chdir="$folder" validate
  terraform -chdir="$folder" test
  echo '::endgroup::'
done
