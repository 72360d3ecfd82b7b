#!/usr/bin/env bash
# Builds contracts/guest for WebAssembly into $VOUCH_CONTRACTS_OUT, or contracts/ in cargo's target directory.
#   1. with the Rust toolchain's own wasm32-unknown-unknown target, when it is installed
#   2. else with Debian's rustc-web and rust-web-src, which build the standard library as well; they are installed by
#      apt-get when that is possible without a password
#   3. else it says what to run
# Prints the directory. Quick when nothing changed.
#
# usage: scripts/build-contracts.sh [--types | --package NAME ...]
#   --types          only light.wasm, reader.wasm and uplink.wasm: sdk/types, sdk/privacy and sdk/uplink for the browser
#   --package NAME   only this contract; may be repeated
# environment: VOUCH_CONTRACTS_OUT, CARGO_TARGET_DIR, WASM_TOOLCHAIN=auto|rustup|debian
set -euo pipefail

target=wasm32-unknown-unknown
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
guest=$root/contracts/guest
debian_rustc=/usr/bin/rustc
mode=${WASM_TOOLCHAIN:-auto}

say() { printf 'build-contracts: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
advice="run: rustup target add $target"

packages=()
while [ $# -gt 0 ]; do
  case $1 in
    --types) packages+=(light reader uplink) ;;
    --package) packages+=("${2:?--package needs a name}"); shift ;;
    -h | --help) sed -n '2,/^set /p' "${BASH_SOURCE[0]}" | sed '$d; s/^# \{0,1\}//'; exit 0 ;;
    *) fail "unknown argument $1" ;;
  esac
  shift
done
[ ${#packages[@]} -gt 0 ] || packages=(notary meter relations documents light)

has_own_target() { [ -d "$(rustc --print sysroot 2>/dev/null)/lib/rustlib/$target/lib" ]; }
debian_is_ready() {
  [ -x $debian_rustc ] && [ -e "$($debian_rustc --print sysroot)/lib/rustlib/src/rust/library/Cargo.lock" ]
}

install_debian() {
  command -v apt-get >/dev/null || fail "this toolchain has no $target; $advice"
  local as=()
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || fail "this toolchain has no $target; $advice, or: sudo apt-get install rustc-web rust-web-src"
    as=(sudo -n)
  fi
  say "installing rustc-web and rust-web-src"
  export DEBIAN_FRONTEND=noninteractive
  { "${as[@]}" apt-get update -qq &&
    "${as[@]}" apt-get install -y -qq --no-install-recommends rustc-web rust-web-src; } >&2 ||
    fail "apt-get could not install rustc-web; $advice"
  debian_is_ready || fail "rustc-web is installed but its library sources are missing; $advice"
}

find_linker() {
  local sysroot linker
  sysroot=$(rustc --print sysroot 2>/dev/null || true)
  linker=$(find "$sysroot/lib/rustlib" -name rust-lld -type f 2>/dev/null | head -n 1)
  [ -n "$linker" ] || linker=$(command -v wasm-ld || command -v lld || true)
  [ -n "$linker" ] || fail "no rust-lld and no wasm-ld"
  printf '%s' "$linker"
}

target_dir=${CARGO_TARGET_DIR:-$root/target}
case $target_dir in /*) ;; *) target_dir=$PWD/$target_dir ;; esac
out=${VOUCH_CONTRACTS_OUT:-$target_dir/contracts}

extra=()
if [ "$mode" != debian ] && has_own_target; then
  build_dir=$target_dir/guest
  say "$(rustc --version), its own $target"
else
  [ "$mode" != rustup ] || fail "this toolchain has no $target; $advice"
  debian_is_ready || install_debian
  linker=$(find_linker)
  say "$($debian_rustc --version) with its library built from source"
  export RUSTC=$debian_rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$linker
  unset RUSTUP_TOOLCHAIN RUSTC_WRAPPER
  build_dir=$target_dir/guest-debian
  extra=(-Zbuild-std=std,panic_abort)
fi

selection=()
for package in "${packages[@]}"; do selection+=(-p "$package"); done
# Places of sources do not belong into a module: neither its bytes nor its messages may depend on where it was built.
remap="--remap-path-prefix=$root= --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo"
flags="-Clink-arg=-zstack-size=131072 $remap"
(
  cd "$guest"
  env -u CARGO_ENCODED_RUSTFLAGS CARGO_TARGET_DIR="$build_dir" RUSTFLAGS="$flags" \
    cargo build --quiet --locked --release --target $target "${extra[@]}" "${selection[@]}"
)

mkdir -p "$out"
for package in "${packages[@]}"; do
  built=$build_dir/$target/release/$package.wasm
  cmp -s "$built" "$out/$package.wasm" || cp "$built" "$out/$package.wasm"
done
printf '%s\n' "$out"
