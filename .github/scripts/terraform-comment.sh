#!/usr/bin/env bash
# terraform-comment.sh ENVIRONMENT: the plan as a comment on the pull request, one per environment, renewed in place.
# terraform itself leaves out what is marked sensitive.
set -euo pipefail

readonly environment=${1:?usage: terraform-comment.sh ENVIRONMENT}
: "${GH_TOKEN:?}" "${GH_REPO:?}" "${PULL_REQUEST:?}"
readonly text=${RUNNER_TEMP:-/tmp}/$environment.tfplan.txt mark="<!-- plan of $environment -->"
# a comment holds 65,536 characters
readonly most=60000

body=$(mktemp)
trap 'rm -f "$body"' EXIT
{
  printf '%s\n### terraform: %s\n\n<details><summary>%s</summary>\n\n' \
    "$mark" "$environment" "$(grep --extended-regexp '^(Plan:|No changes)' "$text" || echo 'see the plan')"
  # indented by four: nothing in a plan can end the block
  head --bytes "$most" "$text" | sed 's/^/    /'
  if [[ $(wc --bytes <"$text") -gt $most ]]; then
    printf '\n(cut; the whole plan is in the log of the run)\n'
  fi
  printf '\n</details>\n'
} >"$body"

known=$(gh api --paginate "repos/$GH_REPO/issues/$PULL_REQUEST/comments" \
  --jq ".[] | select(.user.login == \"github-actions[bot]\" and (.body | startswith(\"$mark\"))) | .id" | head -n 1)
if [[ -n $known ]]; then
  gh api --method PATCH "repos/$GH_REPO/issues/comments/$known" --field "body=@$body" --silent
else
  gh pr comment "$PULL_REQUEST" --body-file "$body"
fi
