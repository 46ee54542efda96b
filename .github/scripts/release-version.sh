#!/usr/bin/env bash
# release-version.sh TAG: fails unless the tag, Cargo.toml and CHANGELOG.md name one version and the commit is on main.
set -euo pipefail

readonly tag=${1:?usage: release-version.sh TAG}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[[ $tag =~ ^v([0-9]+\.[0-9]+\.[0-9]+)$ ]] || { echo "$tag is no vX.Y.Z" >&2; exit 1; }
readonly version=${BASH_REMATCH[1]}

manifest=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
[[ $manifest == "$version" ]] || { echo "Cargo.toml says $manifest, the tag $version" >&2; exit 1; }
grep --quiet --fixed-strings "## [$version]" CHANGELOG.md \
  || { echo "CHANGELOG.md has no section ## [$version]" >&2; exit 1; }
if ! git merge-base --is-ancestor HEAD origin/main; then
  echo 'the tag is not on main' >&2
  exit 1
fi
echo "version $version"
if [[ -n ${GITHUB_OUTPUT:-} ]]; then
  echo "version=$version" >>"$GITHUB_OUTPUT"
fi
