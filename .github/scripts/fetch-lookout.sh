#!/usr/bin/env bash
# fetch-lookout.sh IMAGE: puts the program out of the agent's image onto the path. The pipeline then asks with the same
# version that answers.
set -euo pipefail

readonly image=${1:?usage: fetch-lookout.sh IMAGE} folder=${RUNNER_TEMP:-/tmp}/lookout-bin
"$(dirname "${BASH_SOURCE[0]}")/verify.sh" "$image"
mkdir -p "$folder"
container=$(docker create "$image")
trap 'docker rm "$container" >/dev/null' EXIT
docker cp "$container:/lookout" "$folder/lookout"
"$folder/lookout" --version
if [[ -n ${GITHUB_PATH:-} ]]; then
  echo "$folder" >>"$GITHUB_PATH"
fi
