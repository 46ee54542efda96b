#!/bin/sh
# Installs lookout (or titanic) from a release, after comparing it with the checksums of that release:
#
#   curl --proto '=https' --tlsv1.2 -sSfL https://github.com/lookout-dev/lookout/releases/latest/download/install.sh | sh
#
# PROGRAM=titanic, VERSION=0.1.0 and BIN=/usr/local/bin change what, which and where to. With cosign on the path, the
# checksums must also be signed by the release workflow of the project.
set -eu

program=${PROGRAM:-lookout}
version=${VERSION:-latest}
bin=${BIN:-$HOME/.local/bin}
repository=https://github.com/lookout-dev/lookout
releases=${RELEASES:-$repository/releases}

fail() {
  echo "install.sh: $*" >&2
  exit 1
}

fetch() {
  curl --proto '=https,file' --tlsv1.2 --silent --show-error --fail --location --retry 3 --max-time 300 \
    --output "$folder/$1" "$from/$1" || fail "cannot get $from/$1"
}

# The whole script is read before anything of it runs: half a download does nothing.
main() {
  case $program in lookout | titanic) ;; *) fail "PROGRAM is $program: expected lookout or titanic" ;; esac
  [ "$(uname -s)" = Linux ] || fail "there are binaries for Linux; elsewhere: cargo install --locked --git $repository $program"
  case $(uname -m) in
    x86_64 | amd64) target=x86_64-unknown-linux-musl ;;
    aarch64 | arm64) target=aarch64-unknown-linux-musl ;;
    *) fail "there is no binary for $(uname -m)" ;;
  esac
  case $version in
    latest) from=$releases/latest/download ;;
    [0-9]*) from=$releases/download/v$version ;;
    v[0-9]*) from=$releases/download/$version ;;
    *) fail "VERSION is $version: expected a version such as 0.1.0" ;;
  esac
  for tool in curl tar sha256sum; do
    command -v "$tool" >/dev/null || fail "$tool is missing"
  done

  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  archive=$program-$target.tar.gz
  fetch SHA256SUMS
  fetch "$archive"
  if command -v cosign >/dev/null; then
    fetch SHA256SUMS.sigstore.json
    cosign verify-blob --bundle "$folder/SHA256SUMS.sigstore.json" \
      --certificate-identity-regexp '^https://github\.com/lookout-dev/lookout/\.github/workflows/release\.yml@refs/tags/v[0-9.]+$' \
      --certificate-oidc-issuer https://token.actions.githubusercontent.com "$folder/SHA256SUMS" >/dev/null 2>&1 \
      || fail 'the checksums are not signed by the release workflow'
  fi
  # exactly one line, or a missing name would count as a match
  (cd "$folder" && awk -v name="$archive" '$2 == name || $2 == "*" name' SHA256SUMS >wanted \
    && [ "$(wc -l <wanted)" -eq 1 ] && sha256sum --check --status wanted) \
    || fail "$archive does not have the checksum of its release: nothing was installed"

  tar --extract --gzip --file "$folder/$archive" --directory "$folder" "$program"
  mkdir -p "$bin"
  # into place in one move: a running program is not overwritten
  install -m 0755 "$folder/$program" "$bin/.$program.new"
  mv -f "$bin/.$program.new" "$bin/$program"
  "$bin/$program" --version
  case :$PATH: in *:"$bin":*) ;; *) echo "add $bin to your PATH" ;; esac
}

main
