#!/usr/bin/env bash
# notify.sh STATUS: tells Slack how a deploy ended (success, failure, cancelled). Without SLACK_WEBHOOK_URL it only
# prints. A message that does not arrive must not turn a good deploy into a failed one.
set -euo pipefail

readonly status=${1:?usage: notify.sh STATUS}
case $status in
  success) icon=':white_check_mark:' ;;
  cancelled) icon=':heavy_minus_sign:' ;;
  *) icon=':x:' ;;
esac
message=$(jq --null-input --arg icon "$icon" --arg status "$status" --arg service "${GATE_SERVICE:-}" \
  --arg environment "${DEPLOY_ENVIRONMENT:-}" --arg image "${DEPLOY_IMAGE:-}" --arg actor "${DEPLOY_ACTOR:-}" \
  --arg restored "${RESTORED:-}" --arg run "${RUN_URL:-}" '
  def plain: gsub("&"; "&amp;") | gsub("<"; "&lt;") | gsub(">"; "&gt;");
  {text: ("\($icon) \($service | plain) to \($environment | plain): *\($status)*\n`\($image | plain)` by \($actor | plain)"
    + (if $restored == "" then "" else "\nrolled back to `\($restored | plain)`" end)
    + (if $run == "" then "" else "\n<\($run)|the run>" end))}')
jq --raw-output .text <<<"$message"
if [[ -z ${SLACK_WEBHOOK_URL:-} ]]; then
  echo 'SLACK_WEBHOOK_URL is not set: nobody was told'
  exit 0
fi
# the address is the secret: by standard input as well
curl --silent --show-error --fail --max-time 10 --retry 3 --header 'Content-Type: application/json' \
  --data-raw "$message" --config - <<<"url = \"$SLACK_WEBHOOK_URL\"" || echo '::warning::Slack was not told'
