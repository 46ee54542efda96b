#!/usr/bin/env bash
# The one place that speaks to lookout's gate. Workflows know these two questions and the exit codes, nothing else:
#
#   gate.sh before   may this be deployed now?           waits up to GATE_WAIT seconds for a `hold` to end
#   gate.sh after    is what was deployed good enough?   watches for GATE_BAKE seconds, says no as soon as it is known
#
# Exit codes are those of `lookout gate check`: 0 allow · 1 deny · 3 hold, too little is known · 4 unreachable · 5 hold, the
# state may change soon. Everything but 0 ends a deploy. The exception is the class `rollback`, which only a denial stops:
# the agent may be down because of the change that is rolled back.
set -euo pipefail

: "${LOOKOUT_URL:?the address of the agent}" "${GATE_SERVICE:?the service to be deployed}"
readonly lookout=${LOOKOUT_BIN:-lookout} class=${GATE_CLASS:-feature}
readonly wait_s=${GATE_WAIT:-0} bake_s=${GATE_BAKE:-300} poll_s=${GATE_POLL:-10}
# answers in a row that the agent may leave out: it is restarted now and then
readonly silence=3

answer='' code=0

ask() {
  code=0
  answer=$("$lookout" gate check --url "$LOOKOUT_URL" --service "$GATE_SERVICE" --class "$class" --json) || code=$?
}

field() {
  jq --raw-output --arg key "$1" '.[$key] // "" | tostring' <<<"${answer:-null}" 2>/dev/null || true
}

# Ends with the last answer, told to whoever reads the run.
finish() {
  local decision
  decision=$(field decision)
  printf 'gate %s: %s (exit %s) for %s of %s\n' "$1" "${decision:-no answer}" "$code" "$class" "$GATE_SERVICE"
  jq --raw-output '.reasons[]? | "  \(.code)  \(.text)"' <<<"${answer:-null}" 2>/dev/null || true
  if [[ -n ${GITHUB_OUTPUT:-} ]]; then
    printf 'decision=%s\ndecision-id=%s\n' "${decision:-unreachable}" "$(field decision_id)" >>"$GITHUB_OUTPUT"
  fi
  if [[ -n ${GITHUB_STEP_SUMMARY:-} ]]; then
    # shellcheck disable=SC2016 # the back quotes are Markdown
    printf -- '- gate %s: **%s** for `%s` of `%s`, decision `%s`\n' \
      "$1" "${decision:-unreachable}" "$class" "$GATE_SERVICE" "$(field decision_id)" >>"$GITHUB_STEP_SUMMARY"
  fi
  if [[ $class == rollback && $code -ge 3 ]]; then
    echo "::warning::the gate gave no answer (exit $code), and a rollback does not wait for one"
    exit 0
  fi
  exit "$code"
}

before() {
  local deadline=$((SECONDS + wait_s))
  ask
  # a denial is an answer; the others may change by themselves
  while [[ $code -ge 3 && $SECONDS -lt $deadline ]]; do
    sleep "$poll_s"
    ask
  done
  finish before
}

# `lookout gate watch DEPLOY_ID`, with its statistical verdict, takes the place of this loop: it answers with the same
# codes. Until then the burn of the error budget is the evidence.
after() {
  local deadline=$((SECONDS + bake_s)) silent=0
  while :; do
    ask
    case $code in
      1 | 2) finish after ;;
      4)
        silent=$((silent + 1))
        [[ $silent -lt $silence ]] || finish after
        ;;
      *) silent=0 ;;
    esac
    [[ $SECONDS -lt $deadline ]] || finish after
    sleep "$poll_s"
  done
}

case ${1:-} in
  before | after) "$1" ;;
  *)
    echo 'usage: gate.sh before|after' >&2
    exit 2
    ;;
esac
