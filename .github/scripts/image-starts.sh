#!/usr/bin/env bash
# image-starts.sh IMAGE PROGRAM: the image runs as it will be run: unprivileged, without capabilities, read-only.
set -euo pipefail

readonly image=${1:?usage: image-starts.sh IMAGE PROGRAM} program=${2:?usage: image-starts.sh IMAGE PROGRAM}
readonly confined=(--read-only --cap-drop ALL --security-opt no-new-privileges)

user=$(docker image inspect --format '{{.Config.User}}' "$image")
if [[ $user != 65532:65532 ]]; then
  echo "$image runs as '$user', not as 65532:65532" >&2
  exit 1
fi
bytes=$(docker image inspect --format '{{.Size}}' "$image")
echo "$image: $((bytes / 1000000)) MB"
case $program in
  lookout) docker run --rm "${confined[@]}" --network none "$image" --version ;;
  titanic)
    container=$(docker run --detach "${confined[@]}" --tmpfs /var/lib/titanic:uid=65532,gid=65532 \
      --publish 127.0.0.1::8080 "$image")
    trap 'docker rm --force "$container" >/dev/null' EXIT
    address=$(docker port "$container" 8080/tcp | head -n 1)
    "$(dirname "${BASH_SOURCE[0]}")/smoke.sh" "http://$address" || { docker logs "$container" >&2; exit 1; }
    ;;
  *)
    echo "$program is no program of ours" >&2
    exit 2
    ;;
esac
