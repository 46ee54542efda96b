#!/usr/bin/env bash
# Moves one service between revisions. What runs it is named by PLATFORM; platform/*.sh holds the five functions.
#
#   rollout.sh remember         what runs now: the output `revision`
#   rollout.sh canary IMAGE     starts IMAGE and gives it the first share of the traffic: the outputs `url`, `image`
#   rollout.sh promote IMAGE    gives it all of the traffic
#   rollout.sh settle IMAGE     waits until nothing is left to go back to by itself; fails when it was taken back
#   rollout.sh restore REV      gives REV all of the traffic, whatever was going on
set -euo pipefail
# or a function inside $(…) would go on after its first error
shopt -s inherit_errexit

here=$(dirname "${BASH_SOURCE[0]}")
readonly here platform=${PLATFORM:-ecs}

case $platform in
  ecs | local) ;;
  *)
    echo "PLATFORM is $platform: expected ecs or local" >&2
    exit 2
    ;;
esac
# shellcheck source=/dev/null
source "$here/platform/$platform.sh"

output() {
  printf '%s\n' "$1=$2"
  if [[ -n ${GITHUB_OUTPUT:-} ]]; then
    printf '%s\n' "$1=$2" >>"$GITHUB_OUTPUT"
  fi
  if [[ -n ${GITHUB_STEP_SUMMARY:-} ]]; then
    # shellcheck disable=SC2016 # the back quotes are Markdown
    printf -- '- %s: `%s`\n' "$1" "$2" >>"$GITHUB_STEP_SUMMARY"
  fi
}

# A tag can be moved to another image; a digest cannot.
by_digest() {
  if [[ ! $1 =~ ^[a-z0-9./:-]+@sha256:[0-9a-f]{64}$ ]]; then
    echo "$1 is no image by digest: expected REGISTRY/NAME@sha256:…" >&2
    exit 2
  fi
}

case "${1:-} ${2:+argument}" in
  'remember ')
    revision=$(platform_current)
    output revision "${revision:?nothing runs yet; terraform makes the first revision}"
    ;;
  'canary argument')
    by_digest "$2"
    url=$(platform_canary "$2" "${CANARY_PERCENT:-10}")
    output url "$url"
    output image "$2"
    ;;
  'promote argument')
    by_digest "$2"
    platform_promote "$2"
    ;;
  'settle argument')
    by_digest "$2"
    platform_settle "$2"
    ;;
  'restore argument')
    platform_restore "$2"
    output restored "$2"
    ;;
  *)
    echo 'usage: rollout.sh remember | canary IMAGE | promote IMAGE | settle IMAGE | restore REVISION' >&2
    exit 2
    ;;
esac
