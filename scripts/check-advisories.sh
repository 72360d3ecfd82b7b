#!/usr/bin/env bash
# Known advisories against every lock file. The database is the one named by VOUCH_ADVISORY_DB (a checked-out folder, or
# a tar.gz of one), else one kept beside the repository, else cargo-deny's where that is installed and reaches it.
# Without any, it says plainly that nothing was checked.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

database=${VOUCH_ADVISORY_DB:-../shared/reference/advisory-db.tar.gz}
tidy() { cargo run --locked --quiet -p vouch-tidy -- "$@"; }

if [ -d "$database" ]; then
  tidy advisories "$database"
elif [ -f "$database" ]; then
  unpacked=$(mktemp -d)
  trap 'rm -rf "$unpacked"' EXIT
  tar -xzf "$database" -C "$unpacked"
  tidy advisories "$(dirname "$(find "$unpacked" -maxdepth 2 -type d -name crates | head -n 1)")"
elif command -v cargo-deny >/dev/null && cargo deny --locked fetch db; then
  cargo deny --locked check advisories
else
  printf 'NOT CHECKED: no advisory database at hand; set VOUCH_ADVISORY_DB or install cargo-deny\n'
fi
