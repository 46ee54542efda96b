#!/usr/bin/env bash
# smoke.sh URL: whether the service answers at all. What fails now and then is the gate's business, so each question
# may be asked again.
set -euo pipefail

readonly url=${1:?usage: smoke.sh URL}

for path in /livez /readyz /version /api/hello '/api/v1/passengers?limit=1'; do
  if ! curl --silent --show-error --fail --output /dev/null --max-time 5 --retry 5 --retry-delay 1 --retry-all-errors \
    "${url%/}$path"; then
    echo "smoke: $path does not answer" >&2
    exit 1
  fi
  echo "smoke: $path answers"
done
