#!/usr/bin/env bash
# Builds the explorer into explorer/dist/app, from where node/api takes it into the program: verifier, reader and uplink as
# WebAssembly, the packages that package-lock.json pins, the pages, verifier.html. Quick when nothing changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

contracts=$(VOUCH_CONTRACTS_OUT=${VOUCH_CONTRACTS:-} scripts/build-contracts.sh --types)
for module in light reader uplink; do
  cmp -s "$contracts/$module.wasm" "explorer/src/generated/$module.wasm" ||
    cp "$contracts/$module.wasm" "explorer/src/generated/$module.wasm"
done

cd explorer
# What the pages are made of, to know whether they are to be made again.
state=$(find package-lock.json index.html vite.config.ts vite.verifier.config.ts svelte.config.js scripts src verifier public -type f -print0 | sort -z |
  xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
if [ -f dist/state ] && [ -f dist/app/files.tsv ] && [ -d node_modules ] && [ "$(cat dist/state)" = "$state" ]; then
  exit 0
fi
if [ ! -d node_modules ] || ! cmp -s package-lock.json node_modules/.locked; then
  npm ci --no-audit --no-fund --ignore-scripts
  cp package-lock.json node_modules/.locked
fi
npm run --silent build
printf '%s' "$state" >dist/state
