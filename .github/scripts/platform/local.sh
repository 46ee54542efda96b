# shellcheck shell=bash
# How a revision gets into `cargo xtask drill rollback`, which runs processes behind a switch on this machine.
# A revision is the reference of an image.
: "${PLATFORM_URL:?}"

local_call() {
  local method=$1 path=$2
  shift 2
  curl --silent --show-error --fail-with-body --noproxy '*' --max-time 30 --request "$method" --get "$@" "$PLATFORM_URL$path"
}

platform_current() {
  local_call GET /revision
}

platform_canary() {
  local_call POST /canary --data-urlencode "image=$1" --data-urlencode "percent=$2"
}

platform_promote() {
  local_call POST /promote --data-urlencode "image=$1"
}

# The switch is thrown at once.
platform_settle() {
  :
}

platform_restore() {
  local_call POST /restore --data-urlencode "revision=$1"
}
