#!/usr/bin/env bash
# publish-chart.sh VERSION: packages the chart of the agent, pushes it as an OCI artefact, signs its digest and verifies what
# anybody can verify.
set -euo pipefail

readonly version=${1:?usage: publish-chart.sh VERSION}
: "${GITHUB_REPOSITORY:?}" "${GITHUB_REF:?}"
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

helm package k8s/lookout --version "$version" --app-version "$version" --destination "$folder"
pushed=$(helm push "$folder/lookout-$version.tgz" oci://ghcr.io/lookout-dev/charts 2>&1)
echo "$pushed"
digest=$(sed -n 's/^Digest: *\(sha256:[0-9a-f]\{64\}\)$/\1/p' <<<"$pushed")
readonly chart=ghcr.io/lookout-dev/charts/lookout@${digest:?helm named no digest}
cosign sign --yes "$chart"
cosign verify "$chart" --certificate-oidc-issuer https://token.actions.githubusercontent.com \
  --certificate-identity "https://github.com/$GITHUB_REPOSITORY/.github/workflows/publish.yml@$GITHUB_REF" >/dev/null
echo "$chart"
