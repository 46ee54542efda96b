#!/usr/bin/env bash
# changelog.sh RANGE: the conventional commits of a range as Markdown, what breaks first.
set -euo pipefail

readonly range=${1:?usage: changelog.sh RANGE}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
commits=$(git log --no-merges --format='%s (%h)' "$range")

# section HEADING PATTERN: the commits whose subject matches, without their type
section() {
  local found
  found=$(grep --extended-regexp "$2" <<<"$commits" | sed --regexp-extended 's/^[a-z]+(\(([^)]*)\))?!?: */\2: /; s/^: //' || true)
  if [[ -n $found ]]; then
    printf '\n### %s\n\n' "$1"
    # every line becomes an item of a list
    printf '%s\n' "${found//$'\n'/$'\n- '}" | sed '1s/^/- /'
  fi
}

section 'Breaking changes' '^[a-z]+(\([^)]*\))?!:'
section 'Added' '^feat(\([^)]*\))?:'
section 'Fixed' '^fix(\([^)]*\))?:'
section 'Faster' '^perf(\([^)]*\))?:'
