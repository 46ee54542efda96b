#!/usr/bin/env bash
# release-binaries.sh TARGET: both programs, static, as dist/PROGRAM-TARGET.tar.gz. The same source gives the same bytes:
# paths are cut, times come from the commit.
set -euo pipefail

readonly target=${1:?usage: release-binaries.sh TARGET}
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
if ! command -v musl-gcc >/dev/null; then
  sudo apt-get update --quiet
  sudo apt-get install --quiet --yes --no-install-recommends musl-tools
fi
# the list of crates goes into the programs themselves, where a scan finds it
cargo install --quiet --locked cargo-auditable --version 0.7.2
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
triple=${target^^} # RUSTFLAGS would put the flags of .cargo/config.toml out of force; this variable adds to them
export "CARGO_TARGET_${triple//-/_}_RUSTFLAGS=--remap-path-prefix=$PWD=/src --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
cargo auditable build --release --locked --target "$target" --package lookout
cargo auditable build --profile service --locked --target "$target" --package titanic
mkdir -p dist
for built in release/lookout service/titanic; do
  binary=target/$target/$built
  program=${built#*/}
  if readelf --program-headers "$binary" | grep --quiet INTERP; then
    echo "$binary is not static" >&2
    exit 1
  fi
  tar --create --gzip --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" \
    --file "dist/$program-$target.tar.gz" --directory "${binary%/*}" "$program" --directory "$PWD" LICENSE
done
