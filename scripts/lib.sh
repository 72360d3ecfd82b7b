# Functions that the task runner and the scripts share. Sourced by bash, never run.
# shellcheck shell=bash

die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

# step NAME COMMAND...: runs a command, says how long it took, and stops everything by name when it fails.
step() {
  local name=$1 began=$SECONDS code=0
  shift
  printf '\n==> %s\n' "$name"
  "$@" || code=$?
  if [ "$code" != 0 ]; then
    printf '==> %s: FAILED after %s s (exit code %s)\n' "$name" "$((SECONDS - began))" "$code" >&2
    exit "$code"
  fi
  printf '==> %s: %s s\n' "$name" "$((SECONDS - began))"
}

# Where cargo builds: the caller's choice, else a folder of the user's that several clones share, else the clone's own.
use_target_dir() {
  if [ -z "${CARGO_TARGET_DIR:-}" ]; then
    local cache="${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}/vouch"
    if [ "$cache" != /vouch ] && mkdir -p "$cache/target" 2>/dev/null && [ -w "$cache/target" ]; then
      CARGO_TARGET_DIR=$cache/target
    else
      CARGO_TARGET_DIR=$PWD/target
    fi
  fi
  case $CARGO_TARGET_DIR in /*) ;; *) CARGO_TARGET_DIR=$PWD/$CARGO_TARGET_DIR ;; esac
  export CARGO_TARGET_DIR
  forget_other_clones
}

# Cargo tells by path below the clone and by time what it built already. In a folder that clones share, that of another clone is taken
# for this one's when its files are newer, and tests then look for their files over there. So what is ours is built anew after
# another clone; dependencies are shared.
forget_other_clones() {
  local mark=$CARGO_TARGET_DIR/clone name
  [ -d "$CARGO_TARGET_DIR" ] || return 0
  [ "$(cat "$mark" 2>/dev/null)" != "$PWD" ] || return 0
  while IFS= read -r name; do
    find "$CARGO_TARGET_DIR" -maxdepth 5 -type d -path "*/.fingerprint/$name-*" -prune -exec rm -rf {} +
  done < <(find . -name Cargo.toml -not -path '*/node_modules/*' -exec sed -n '/^\[package\]/,/^\[[^p]/s/^name = "\(.*\)"/\1/p' {} +)
  printf '%s' "$PWD" >"$mark"
}

bin_dir() { printf '%s/debug' "$CARGO_TARGET_DIR"; }

# RocksDB's bindings are made with libclang. Without clang's own headers the compiler's serve as well. What setup installs changes
# the answer, and another answer has RocksDB compiled anew, so nothing may be built with one that was found before setup.
use_libclang() {
  if [ -n "${OWN_CLANG_ARGS:-}" ]; then unset BINDGEN_EXTRA_CLANG_ARGS OWN_CLANG_ARGS; fi
  [ -z "${BINDGEN_EXTRA_CLANG_ARGS:-}" ] || return 0
  compgen -G '/usr/lib/llvm-*/lib/clang/*/include/stddef.h' >/dev/null && return 0
  compgen -G '/usr/lib/clang/*/include/stddef.h' >/dev/null && return 0
  command -v gcc >/dev/null || return 0
  BINDGEN_EXTRA_CLANG_ARGS="-I$(gcc -print-file-name=include)"
  OWN_CLANG_ARGS=yes
  export BINDGEN_EXTRA_CLANG_ARGS
}

has_libclang() {
  [ -n "${LIBCLANG_PATH:-}" ] && return 0
  # libclang-cpp, which other packages bring along, is another library and does not serve.
  compgen -G '/usr/lib/llvm-*/lib/libclang.so*' >/dev/null && return 0
  compgen -G '/usr/lib/llvm-*/lib/libclang-[0-9]*.so*' >/dev/null && return 0
  ldconfig -p 2>/dev/null | grep -E 'libclang(-[0-9.]+)?\.so' >/dev/null
}

# The explorer is built with Node.js 20 or newer; Debian 12 has 18, which Vite 7 refuses.
has_npm() {
  command -v npm >/dev/null && command -v node >/dev/null &&
    [ "$(node -p 'Number(process.versions.node.split(".")[0]) >= 20' 2>/dev/null)" = true ]
}

# Places that tests and programs read from the environment.
export_test_places() {
  VOUCH_BIN=$(bin_dir)/vouch
  VOUCH_CONTRACTS=${VOUCH_CONTRACTS:-$CARGO_TARGET_DIR/contracts}
  export VOUCH_BIN VOUCH_CONTRACTS
}

# What a measurement says about itself, for the programs that write docs/figures.
export_measurement() {
  local model
  model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)
  VOUCH_FIGURES=$PWD/docs/figures
  VOUCH_COMMIT=$(git rev-parse HEAD)
  # Documents and figures are what measuring writes; anything else would be measured and is in no commit.
  VOUCH_UNCOMMITTED=no
  [ -z "$(git status --porcelain -- . ':!docs')" ] || VOUCH_UNCOMMITTED=yes
  VOUCH_DATE=$(date -u +%Y-%m-%d)
  VOUCH_MACHINE="$(nproc) cores (${model:-unknown}), $(awk '/^MemTotal/ { printf "%d GiB", $2 / 1048576 }' /proc/meminfo)"
  export VOUCH_FIGURES VOUCH_COMMIT VOUCH_UNCOMMITTED VOUCH_DATE VOUCH_MACHINE
}

# Runs tests with nextest where it is installed, else with cargo's own runner. Both end with a summary.
run_tests() {
  if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --no-fail-fast "$@"
  else
    cargo test --no-fail-fast --lib --bins --tests "$@"
  fi
}
