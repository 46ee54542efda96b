#!/usr/bin/env bash
# preview.sh BASE: what would change in each environment on Kubernetes if this tree took the place of the commit BASE, as
# Markdown.
set -euo pipefail

readonly base=${1:?usage: preview.sh BASE}
# what a summary of a step can show beside the other environments
readonly most=200000
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=$(mktemp -d)
trap 'git worktree remove --force "$folder/tree" 2>/dev/null || true; rm -rf "$folder"' EXIT
git worktree add --quiet --detach "$folder/tree" "$base"

for environment in dev staging prod; do
  overlay=k8s/overlays/$environment
  : >"$folder/before"
  if [[ -d $folder/tree/$overlay ]]; then
    kubectl kustomize "$folder/tree/$overlay" >"$folder/before"
  fi
  kubectl kustomize "$overlay" >"$folder/after"
  if diff --unified=5 --label before --label after "$folder/before" "$folder/after" >"$folder/change"; then
    printf '### %s: nothing changes\n\n' "$environment"
    continue
  fi
  printf '### %s: %s lines come, %s go\n\n' "$environment" \
    "$(grep --count '^+[^+]' "$folder/change" || true)" "$(grep --count '^-[^-]' "$folder/change" || true)"
  # indented by four: nothing in a manifest can end the block
  head --bytes "$most" "$folder/change" | sed 's/^/    /'
  if [[ $(wc --bytes <"$folder/change") -gt $most ]]; then
    printf '\n(cut)\n'
  fi
  echo
done
