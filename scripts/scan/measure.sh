#!/usr/bin/env bash
# Measures the sensitive-data engine beside two public ones: `./run bench scan`. Python packages go to a folder of their own.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
source scripts/lib.sh

documents=${VOUCH_SCAN_DOCUMENTS:-4000}
seed=${VOUCH_SCAN_SEED:-20261126}
values=${VOUCH_SCAN_VALUES:-20000}
work=$CARGO_TARGET_DIR/scan
venv=$work/venv
packages=(argus-redact==0.8.22 faker==40.63.0 faker-cn==0.1.3 presidio-analyzer==2.2.366 python-stdnum==2.2)

command -v python3 >/dev/null || die "python3 is needed to make the corpora"
mkdir -p "$work"
if [ "$(cat "$venv/packages" 2>/dev/null)" != "${packages[*]}" ]; then
  rm -rf "$venv"
  step "python environment" python3 -m venv "$venv"
  step "generators and peers" "$venv/bin/pip" install --quiet --disable-pip-version-check "${packages[@]}"
  printf '%s' "${packages[*]}" >"$venv/packages"
fi
step "corpora" "$venv/bin/python" scripts/scan/corpus.py "$work" "$documents" "$seed" "$values"
step "build" cargo build --locked -p vouch-privacy --example measure
printf '\n==> engine\n'
"$(bin_dir)/examples/measure" "$work" >"$work/measured.json"
printf '\n==> peers\n'
"$venv/bin/python" scripts/scan/peers.py "$work" sdk/privacy/rules/builtin.json 1000 >"$work/peers.json"
step "figure" "$venv/bin/python" scripts/scan/figure.py "$work/measured.json" "$work/peers.json"
