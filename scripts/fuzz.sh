#!/usr/bin/env bash
# Fuzzes one target of tests/fuzz: scripts/fuzz.sh TARGET [SECONDS]. Without a target it lists them.
# Needs cargo-fuzz (cargo install cargo-fuzz). Found inputs stay in tests/fuzz/corpus, failing ones in tests/fuzz/artifacts.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

if [ $# = 0 ]; then
  for file in tests/fuzz/fuzz_targets/*.rs; do
    basename "$file" .rs
  done
  exit 0
fi
[ -f "tests/fuzz/fuzz_targets/$1.rs" ] || die "no target named $1; scripts/fuzz.sh lists them"
cargo fuzz --version >/dev/null 2>&1 || die "cargo-fuzz is not installed: cargo install cargo-fuzz"

# The sanitizer flags are unstable ones, which the stable compiler takes when told so. The folder is its own, because
# everything is compiled with other flags.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$PWD/target/fuzz
exec cargo fuzz run --fuzz-dir tests/fuzz "$1" -- -max_total_time="${2:-60}"
