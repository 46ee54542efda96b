#!/usr/bin/env bash
# Makes the secrets that compose.yaml reads, each in a file of its own; what is there already stays as it is.
set -euo pipefail

folder=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/secrets
readonly folder
# The folder keeps others on this machine out. The files are open because the containers that read them run as users
# of their own, and compose hands a file over with the mode it has here.
mkdir -p "$folder"
chmod 0700 "$folder"
for name in db-password admin-token grafana-password; do
  file=$folder/$name.txt
  if [[ -s $file ]]; then
    echo "kept  $name"
    continue
  fi
  head -c 24 /dev/urandom | od -An -v -tx1 | tr -d ' \n' >"$file.new"
  chmod 0644 "$file.new"
  mv "$file.new" "$file"
  echo "made  $name"
done
