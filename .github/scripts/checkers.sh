#!/usr/bin/env bash
# Installs the linters by version and hash, without a compiler, and puts them onto the path.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly folder=${RUNNER_TEMP:-/tmp}/checkers
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement xtask/tools/checks.txt
if [[ -n ${GITHUB_PATH:-} ]]; then
  echo "$folder/bin" >>"$GITHUB_PATH"
fi
