#!/usr/bin/env bash
# bump.sh ENVIRONMENT CLASS [IMAGE@DIGEST...]: writes the digests that an environment on Kubernetes runs, and what kind of change
# they are, which Argo Rollouts and Flagger tell the gate. An image that is not named stays as it is; without any, only the class
# is written. A class other than `feature` is tied to the manifests of this change: for others, `ci` wants it written anew.
set -euo pipefail

readonly environment=${1:?usage: bump.sh ENVIRONMENT CLASS [IMAGE@DIGEST...]} class=${2:?}
shift 2
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
readonly images=k8s/images/$environment/kustomization.yaml site=k8s/overlays/$environment/site.yaml
[[ $class =~ ^(feature|fix|security|rollback|config)$ ]] || { echo "$class is no class of a change" >&2; exit 2; }
[[ -f $images && -f $site ]] || { echo "there is no environment $environment" >&2; exit 2; }

declare -A version
for name in titanic lookout; do
  version[$name]=$(awk -v name="ghcr.io/lookout-dev/$name" '$2 == "name:" { on = $3 == name; next } on { print $1, $2; on = 0 }' "$images")
done
for image in "$@"; do
  if [[ ! $image =~ ^ghcr\.io/lookout-dev/(titanic|lookout)@(sha256:[0-9a-f]{64})$ ]]; then
    echo "$image is none of our images by digest" >&2
    exit 2
  fi
  version[${BASH_REMATCH[1]}]="digest: ${BASH_REMATCH[2]}"
done
{
  sed '/^images:/,$d' "$images"
  echo 'images:'
  for name in titanic lookout; do
    printf '  - name: ghcr.io/lookout-dev/%s\n    %s\n' "$name" "${version[$name]:?}"
  done
} >"$images.new"
mv "$images.new" "$images"
sed --in-place "/^  DEPLOY_CLASS_OF: /d; s/^  DEPLOY_CLASS: .*/  DEPLOY_CLASS: $class/" "$site"
if [[ $class != feature ]]; then
  manifests=$(.github/scripts/deploy-class.sh "$environment")
  sed --in-place "s/^  DEPLOY_CLASS: .*/&\n  DEPLOY_CLASS_OF: $manifests/" "$site"
fi
