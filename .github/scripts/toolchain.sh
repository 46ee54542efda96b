#!/usr/bin/env bash
# Installs the toolchain that Cargo.toml names in `rust-version`, the one that the container files use too.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."
version=$(sed -n 's/^rust-version = "\([0-9.]*\)"$/\1/p' Cargo.toml)
rustup toolchain install "${version:?Cargo.toml names no rust-version}" --profile minimal --no-self-update
rustup default "$version"
for component in ${COMPONENTS:-}; do
  rustup component add --toolchain "$version" "$component"
done
if [[ -n ${TARGET:-} ]]; then
  rustup target add --toolchain "$version" "$TARGET"
fi
