#!/usr/bin/env bash
# Installs what building needs beside Rust, where apt-get is at hand, and says what is missing where it is not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

has_headers() { printf '#include <stddef.h>\nint main() { return 0; }\n' | "$1" -x "$2" -fsyntax-only - 2>/dev/null; }

missing() {
  { command -v make && has_headers cc c && has_headers c++ c++; } >/dev/null 2>&1 || echo build-essential
  command -v pkg-config >/dev/null || echo pkg-config
  command -v git >/dev/null || echo git
  command -v openssl >/dev/null || echo openssl
  command -v python3 >/dev/null || echo python3
  python3 -c 'import ensurepip' 2>/dev/null || echo python3-venv
  has_libclang || echo libclang-dev
}

install() {
  local as_root=()
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || return 1
    as_root=(sudo)
  fi
  command -v apt-get >/dev/null || return 1
  export DEBIAN_FRONTEND=noninteractive
  "${as_root[@]}" apt-get update -qq </dev/null || printf 'apt-get update failed; using the lists at hand\n' >&2
  "${as_root[@]}" apt-get install -y -qq --no-install-recommends "$@" </dev/null
}

command -v cargo >/dev/null || die "cargo is not on the path: install Rust with rustup, https://rustup.rs"

mapfile -t packages < <(missing)
if [ ${#packages[@]} -gt 0 ]; then
  printf 'missing: %s\n' "${packages[*]}"
  if ! install "${packages[@]}"; then
    die "cannot install them here. Needed: a C and C++ compiler with make, pkg-config, git, openssl, python3 and libclang" \
      "(Fedora: gcc-c++ make pkgconf git openssl python3 clang-devel; Arch: base-devel git openssl python clang;" \
      "macOS: xcode-select --install, brew install llvm)"
  fi
fi
has_libclang || die "libclang was installed but is not found; set LIBCLANG_PATH to its folder"

for component in rustfmt clippy; do
  cargo "${component/rustfmt/fmt}" --version >/dev/null 2>&1 || rustup component add "$component" ||
    die "this toolchain has no $component, which the checks need"
done

cargo fetch --locked --quiet

# The explorer and its tests; everything else is built without them, so failing here fails nothing.
extras=()
{ command -v node && command -v npm; } >/dev/null 2>&1 || extras+=(nodejs npm)
command -v chromium >/dev/null || extras+=(chromium)
fc-list 2>/dev/null | grep -i cjk >/dev/null || extras+=(fonts-noto-cjk fontconfig)
if [ ${#extras[@]} -gt 0 ]; then
  printf 'for the explorer: %s\n' "${extras[*]}"
  install "${extras[@]}" || printf 'setup: they could not be installed; the explorer or its browser tests are left out\n' >&2
fi
has_npm || printf 'setup: no Node.js 20 or newer with npm, so the program is built without the explorer\n' >&2

# The tests of bulk uplink start a server of their own; without it they fail, and say so.
if ! { command -v initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb'; } >/dev/null; then
  printf 'for the tests: postgresql\n'
  install postgresql || printf 'setup: PostgreSQL could not be installed, so the tests of its uplink will fail\n' >&2
fi

# Contracts are compiled for WebAssembly. Building them installs a compiler that can, where none is there.
use_target_dir
export_test_places
VOUCH_CONTRACTS_OUT=$VOUCH_CONTRACTS scripts/build-contracts.sh >/dev/null
printf 'setup: everything is there (%s)\n' "$(cargo --version)"
