#!/usr/bin/env bash
# Plants faults and shows that the tests which should find them do: scripts/faults.sh [NAME...]. `list` names them.
#
# Each tests/faults/NAME.patch begins with what it breaks, then says `test:` the one that must fail, and `says:` a regular
# expression for what that test must say, so that a network that does not even start proves nothing. The patch goes into a copy of
# the tree; the program is built there and handed to the tests as built here. Nothing in the product knows of it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/lib.sh

readonly FAULTS=tests/faults FLAGS=(--locked --workspace)

names() {
  local file
  for file in "$FAULTS"/*.patch; do basename "$file" .patch; done
}

# A line of the head of a patch.
head_of() { sed -n "/^diff /q; s/^$2: //p" "$FAULTS/$1.patch"; }

if [ "${1:-}" = list ]; then
  names
  exit 0
fi
command -v patch >/dev/null || die "the program patch is missing"
use_target_dir
use_libclang
export_test_places

wanted=("$@")
[ $# != 0 ] || mapfile -t wanted < <(names)
for name in "${wanted[@]}"; do
  [ -f "$FAULTS/$name.patch" ] || die "no fault named $name; scripts/faults.sh list names them"
  [ -n "$(head_of "$name" test)" ] && [ -n "$(head_of "$name" says)" ] || die "$FAULTS/$name.patch lacks test: or says:"
done

place=$CARGO_TARGET_DIR/faults
tree=$place/tree
rm -rf "$tree"
mkdir -p "$tree"

# All files get the time of now: of what was built here before with a fault in it nothing is taken for whole.
git ls-files -z --cached --others --exclude-standard |
  while IFS= read -r -d '' file; do [ ! -e "$file" ] || printf '%s\0' "$file"; done |
  tar --null --no-recursion -T - -cf - | tar -xm -C "$tree" -f -

# Both trees build into one folder, so that what both have in common - RocksDB above all - is built once. The program's place
# there belongs to the last one built: it is given back at the end, however this ends.
give_back() {
  rm -rf "$tree"
  step "the program without faults" cargo build "${FLAGS[@]}" --quiet --bin vouch
}
trap give_back EXIT

failed=0
for name in "${wanted[@]}"; do
  patch_file=$PWD/$FAULTS/$name.patch test=$(head_of "$name" test) says=$(head_of "$name" says) log=$place/$name.log
  (cd "$tree" && patch --quiet --no-backup-if-mismatch -p1 <"$patch_file") || die "$FAULTS/$name.patch does not fit the code any more"
  step "a program with the fault $name" env -C "$tree" cargo build "${FLAGS[@]}" --quiet --bin vouch
  cp -f "$(bin_dir)/vouch" "$place/vouch-$name"
  (cd "$tree" && patch --quiet --no-backup-if-mismatch -R -p1 <"$patch_file")
  # Cargo goes by times: of what was just built with a fault in it nothing is to be taken for this tree's.
  sed -n 's,^+++ b/,,p' "$patch_file" | xargs -r touch --

  printf '\n==> %s\n' "$test"
  code=0
  # The tests themselves are those of this tree; only the program that they start has the fault.
  VOUCH_BIN=$place/vouch-$name cargo test "${FLAGS[@]}" --test cluster -- --exact "$test" --nocapture >"$log" 2>&1 || code=$?
  if [ "$code" = 0 ]; then
    printf '==> %s: NOT FOUND: the test passes with the fault in the program\n' "$name" >&2
    failed=1
  elif ! grep -qE "$says" "$log" || ! grep -q "^test result: FAILED" "$log"; then
    printf '==> %s: the test fails, but not by what the fault does (%s); see %s\n' "$name" "$says" "$log" >&2
    failed=1
  else
    printf '==> %s: found: %s\n' "$name" "$(grep -m1 -E "$says" "$log" | cut -c1-160)"
  fi
  rm -f "$place/vouch-$name"
done
[ "$failed" = 0 ] || die "a planted fault was not found"
