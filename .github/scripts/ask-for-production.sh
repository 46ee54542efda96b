#!/usr/bin/env bash
# Opens the issue in which production is approved: what would be deployed, what changed since, how staging took it.
# An older question that nobody answered is closed: approving it would deploy less than people think.
set -euo pipefail

: "${GH_TOKEN:?}" "${IMAGE:?}" "${RUN_URL:?}" "${GITHUB_SHA:?}" "${GITHUB_REPOSITORY:?}"

running=$(gh api "repos/$GITHUB_REPOSITORY/deployments?environment=prod&per_page=30" --jq '.[].id' | while read -r id; do
  state=$(gh api "repos/$GITHUB_REPOSITORY/deployments/$id/statuses?per_page=1" --jq '.[0].state // ""')
  if [[ $state == success || $state == inactive ]]; then
    gh api "repos/$GITHUB_REPOSITORY/deployments/$id" --jq .sha
    break
  fi
done)
if [[ -n $running ]] && git cat-file -e "$running^{commit}" 2>/dev/null; then
  changes=$(git log --no-merges --max-count=50 --format='%h %s' "$running..$GITHUB_SHA")
else
  running='nothing yet'
  changes=$(git log --no-merges --max-count=20 --format='%h %s' "$GITHUB_SHA")
fi

# what terraform last did, or would do: an image may count on it
infrastructure=$(gh run list --workflow terraform.yml --branch main --limit 1 --json conclusion,status,url \
  --jq '.[0] | if . then (if .conclusion == "" then .status else .conclusion end) + ": " + .url else "never ran" end')

body=$(mktemp)
trap 'rm -f "$body"' EXIT
{
  printf '| | |\n|---|---|\n'
  # shellcheck disable=SC2016 # the back quotes are Markdown
  printf '| image | `%s` |\n| commit | `%s` |\n| runs now | `%s` |\n| dev, staging | deployed and judged good by the gate: %s |\n' \
    "$IMAGE" "$GITHUB_SHA" "$running" "$RUN_URL"
  printf '| terraform, plan and apply of prod | %s |\n' "$infrastructure"
  printf '\n### What changes\n\n'
  # indented: whatever a commit says is text, not Markdown
  while IFS= read -r line; do printf '    %s\n' "$line"; done <<<"${changes:-nothing}"
  printf '\n### What will happen\n\n'
  printf '1. The gate is asked; while the error budget burns or is spent, nothing is deployed.\n'
  printf '2. A share of the traffic, a smoke test, then the gate watches.\n'
  printf '3. All of the traffic, and the gate watches again. If it says no, what runs now is put back.\n'
  # shellcheck disable=SC2016
  printf '\nSomebody who may maintain this repository, and did not write the commit, answers `/approve-prod`.\n'
} >"$body"

gh label create prod-approval --color D93F0B --description 'A deploy to production waits for an answer' --force >/dev/null
gh issue list --label prod-approval --state open --json number --jq '.[].number' | while read -r older; do
  gh issue close "$older" --reason 'not planned' --comment 'A newer commit asks instead.'
done
gh issue create --title "Production: ${GITHUB_SHA:0:12}" --label prod-approval --body-file "$body"
