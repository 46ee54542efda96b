#!/usr/bin/env bash
# release-publish.sh VERSION: the release with its notes, and the tag under which other repositories use the gate action.
set -euo pipefail

readonly version=${1:?usage: release-publish.sh VERSION}
: "${GH_TOKEN:?}" "${GITHUB_REPOSITORY:?}" "${GITHUB_SHA:?}" "${LOOKOUT:?}" "${TITANIC:?}"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

notes=$(mktemp)
trap 'rm -f "$notes"' EXIT
{
  awk -v head="## [$version]" 'index($0, "## [") == 1 { on = index($0, head) == 1; next } on' CHANGELOG.md
  previous=$(git describe --tags --abbrev=0 --match 'v*.*.*' "v$version^" 2>/dev/null || true)
  .github/scripts/changelog.sh "${previous:+$previous..}v$version"
  # shellcheck disable=SC2016 # the back quotes are Markdown
  printf '\n### Images\n\n- `%s`\n- `%s`\n' "$LOOKOUT" "$TITANIC"
} >"$notes"
gh release create "v$version" --repo "$GITHUB_REPOSITORY" --verify-tag --title "$version" --notes-file "$notes" dist/*

readonly major=v${version%%.*}
if gh api "repos/$GITHUB_REPOSITORY/git/ref/tags/$major" --silent 2>/dev/null; then
  gh api --method PATCH "repos/$GITHUB_REPOSITORY/git/refs/tags/$major" --field "sha=$GITHUB_SHA" --field force=true --silent
else
  gh api --method POST "repos/$GITHUB_REPOSITORY/git/refs" --field "ref=refs/tags/$major" --field "sha=$GITHUB_SHA" --silent
fi
