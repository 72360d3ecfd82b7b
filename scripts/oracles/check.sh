#!/usr/bin/env bash
# Checks golden vectors by implementations that are not ours: `./run oracles`. Python packages go to a folder of their own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib.sh

venv=${XDG_CACHE_HOME:-${HOME:-$PWD}/.cache}/vouch/oracles
packages=(blake3==1.0.11 cryptography==50.0.2 jwcrypto==1.6.1 sd-jwt==0.10.4)

skip() {
  printf '\nno oracles: %s\n' "$*"
  exit 0
}

python3 -c 'import venv, ensurepip' 2>/dev/null || skip "they need python3 with venv, which ./run setup installs where it can"
if [ "$(cat "$venv/packages" 2>/dev/null)" != "${packages[*]}" ]; then
  rm -rf "$venv"
  python3 -m venv "$venv" || skip "python3 -m venv does not work here"
  # Without the network there is nothing to check with; a wrong version or package is an error of this script.
  if ! "$venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"; then
    rm -rf "$venv"
    [ -z "${CI:-}" ] || die "the packages of the oracles cannot be installed: ${packages[*]}"
    skip "their packages cannot be installed: ${packages[*]}"
  fi
  printf '%s' "${packages[*]}" >"$venv/packages"
fi
step "oracle of commitments and sealing" "$venv/bin/python" scripts/oracles/privacy.py tests/vectors/privacy.json
step "oracle of SD-JWTs" "$venv/bin/python" scripts/oracles/credentials.py tests/vectors/sd_jwt.json tests/vectors/privacy.json
