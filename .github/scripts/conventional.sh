#!/usr/bin/env bash
# Reads first lines of commits and fails when one is not conventional: TYPE(SCOPE)!: what it does. With a file as its
# argument it reads the first line of that file, as the hook `commit-msg` wants it.
set -euo pipefail

readonly types='build|chore|ci|docs|feat|fix|perf|refactor|revert|style|test' most=120
readonly form="^($types)(\\([a-z0-9,/ -]+\\))?!?: [^ ].*[^.]\$"
wrong=0

judge() {
  local line=$1 why=''
  # what git makes by itself, and what a rebase will fold away
  [[ ! $line =~ ^(Merge|Revert\ \"|fixup!|squash!) ]] || return 0
  if [[ ! $line =~ $form ]]; then
    why="expected TYPE(SCOPE): what it does, without a full stop; TYPE is one of ${types//|/, }"
  elif [[ ${#line} -gt $most ]]; then
    why="${#line} characters, at most $most"
  fi
  if [[ -n $why ]]; then
    printf '%s\n    %s\n' "$line" "$why" >&2
    wrong=$((wrong + 1))
  fi
}

if [[ $# -gt 0 ]]; then
  judge "$(head -n 1 "$1")"
else
  while IFS= read -r line; do
    judge "$line"
  done
fi
[[ $wrong -eq 0 ]]
