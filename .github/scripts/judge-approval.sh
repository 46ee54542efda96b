#!/usr/bin/env bash
# Whether an approval counts. The text of an issue can be edited by many, so nothing in it is believed: the image must be
# signed by our pipeline, the commit must be on main, and staging must have taken it.
set -euo pipefail

: "${GH_TOKEN:?}" "${ISSUE:?}" "${ISSUE_AUTHOR:?}" "${ISSUE_BODY:?}" "${APPROVER:?}" "${GITHUB_REPOSITORY:?}"
readonly api="repos/$GITHUB_REPOSITORY"

refuse() {
  gh issue comment "$ISSUE" --repo "$GITHUB_REPOSITORY" --body "Not approved: $1" >/dev/null
  echo "$1" >&2
  exit 1
}

[[ $ISSUE_AUTHOR == 'github-actions[bot]' ]] || refuse 'this question was not asked by the pipeline.'

# the event tells how the issue was when somebody wrote; a newer commit may have asked since
state=$(gh issue view "$ISSUE" --repo "$GITHUB_REPOSITORY" --json state --jq .state)
[[ $state == OPEN ]] || refuse 'this question is closed.'

role=$(gh api "$api/collaborators/$APPROVER/permission" --jq .role_name)
case $role in
  admin | maintain) ;;
  *) refuse "only who maintains this repository may approve; your role is $role." ;;
esac

image=$(grep --only-matching --extended-regexp 'ghcr\.io/lookout-dev/titanic@sha256:[0-9a-f]{64}' <<<"$ISSUE_BODY" | head -n 1) \
  || refuse 'the question names no image.'
# shellcheck disable=SC2016 # the back quotes are Markdown
commit=$(sed -n 's/^| commit | `\([0-9a-f]\{40\}\)` |.*$/\1/p' <<<"$ISSUE_BODY" | head -n 1)
[[ -n $commit ]] || refuse 'the question names no commit.'

author=$(gh api "$api/commits/$commit" --jq '.author.login // ""')
[[ $author != "$APPROVER" ]] || refuse 'somebody else than the author of the commit approves it.'

state=$(gh api "$api/compare/$commit...main" --jq .status)
[[ $state == ahead || $state == identical ]] || refuse "$commit is not on main."

taken=$(gh api "$api/deployments?environment=staging&sha=$commit&per_page=1" --jq '.[0].id // ""')
[[ -n $taken ]] || refuse "$commit was never deployed to staging."
state=$(gh api "$api/deployments/$taken/statuses?per_page=1" --jq '.[0].state // ""')
[[ $state == success || $state == inactive ]] || refuse "staging did not take $commit: $state."

"$(dirname "${BASH_SOURCE[0]}")/verify.sh" "$image" "$commit" || refuse "$image is not what our pipeline built from $commit."

printf 'image=%s\ncommit=%s\n' "$image" "$commit" >>"$GITHUB_OUTPUT"
gh issue comment "$ISSUE" --repo "$GITHUB_REPOSITORY" --body "Approved by @$APPROVER; the gate is asked next." >/dev/null
