#!/usr/bin/env bash
# join-image.sh IMAGE TAG FOLDER: one image of all architectures from the digests that FOLDER's files are named after.
# The tag is for people; everything else goes by the digest, which is the output `digest`.
set -euo pipefail

readonly image=${1:?usage: join-image.sh IMAGE TAG FOLDER} tag=${2:?} folder=${3:?}
parts=()
for file in "$folder"/*; do
  name=${file##*/}
  [[ $name =~ ^[0-9a-f]{64}$ ]] || { echo "$name is no digest" >&2; exit 1; }
  parts+=("$image@sha256:$name")
done
if [[ ${#parts[@]} -ne 2 ]]; then
  echo "expected two architectures, found ${#parts[@]}" >&2
  exit 1
fi
docker buildx imagetools create --tag "$image:$tag" "${parts[@]}"
digest=$(docker buildx imagetools inspect "$image:$tag" --format '{{json .Manifest}}' | jq --raw-output .digest)
[[ $digest =~ ^sha256:[0-9a-f]{64}$ ]] || { echo "$digest is no digest" >&2; exit 1; }
echo "$image@$digest"
if [[ -n ${GITHUB_OUTPUT:-} ]]; then
  echo "digest=$digest" >>"$GITHUB_OUTPUT"
fi
