#!/usr/bin/env bash
# verify.sh IMAGE [COMMIT]: fails unless publish.yml of this repository, on main or a release tag, signed exactly this
# digest and attested where it came from (COMMIT, when one is given) and what is in it. The identity is written out: a pattern over the owner would admit every repository of it.
set -euo pipefail

readonly image=${1:?usage: verify.sh IMAGE [COMMIT]} commit=${2:-} repository=${GITHUB_REPOSITORY:-lookout-dev/lookout}
if [[ ! $image =~ ^ghcr\.io/lookout-dev/(titanic|lookout|lookout-titanic)@sha256:[0-9a-f]{64}$ ]]; then
  echo "$image is none of our images by digest" >&2
  exit 2
fi
readonly identity="^https://github\\.com/${repository//./\\.}/\\.github/workflows/publish\\.yml@refs/(heads/main|tags/v[0-9]+\\.[0-9]+\\.[0-9]+)\$"
readonly issuer=https://token.actions.githubusercontent.com

cosign verify "$image" --certificate-identity-regexp "$identity" --certificate-oidc-issuer "$issuer" >/dev/null
from=()
if [[ -n $commit ]]; then
  from=(--source-digest "$commit")
fi
for kind in https://slsa.dev/provenance/v1 https://cyclonedx.org/bom; do
  GH_TOKEN=${GH_TOKEN:-${GITHUB_TOKEN:-}} gh attestation verify "oci://$image" --repo "$repository" \
    --predicate-type "$kind" --cert-identity-regex "$identity" --bundle-from-oci "${from[@]}" >/dev/null
done
echo "$image was signed by publish.yml of $repository, and says where it came from and what is in it"
