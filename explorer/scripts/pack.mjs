// After the build: packs the files once for all who ask, lists them for the node, and keeps the budget.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { extname, join, relative } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const root = new URL('../dist/app/', import.meta.url).pathname;
const FIRST_ROUTE_SCRIPT_MAX = 120 * 1024;
// Modules with their packed copies are most of it; each is loaded by the page that needs it, and none by the first route.
const ALL_MAX = 13 * 1024 * 1024;
const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
};

const walk = (folder) =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? walk(path) : [path];
  });

const files = walk(root).filter((path) => !/\.(br|gz|tsv)$/.test(path)).sort();
let all = 0;
const packed = new Map();
const lines = files.map((path) => {
  const type = types[extname(path)];
  if (!type) throw new Error(`${path}: no media type is known for this ending`);
  const bytes = readFileSync(path);
  const gzip = gzipSync(bytes, { level: 9 });
  const brotli = brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
  if (gzip.length < bytes.length) writeFileSync(`${path}.gz`, gzip);
  if (brotli.length < bytes.length) writeFileSync(`${path}.br`, brotli);
  packed.set(path, gzip.length);
  all += bytes.length + gzip.length + brotli.length;
  const tag = createHash('sha256').update(bytes).digest('hex').slice(0, 32);
  return `${relative(root, path)}\t${type}\t"${tag}"`;
});
writeFileSync(join(root, 'files.tsv'), `${lines.join('\n')}\n`);

// What the page loads before its first route shows: the entry, what it imports at once, and the home page's own part.
const seen = new Set();
const follow = (path) => {
  if (seen.has(path) || !existsSync(path)) return;
  seen.add(path);
  const text = readFileSync(path, 'utf8');
  for (const [, name] of text.matchAll(/from\s*"\.\/([^"]+\.js)"|import\s*"\.\/([^"]+\.js)"/g)) {
    if (name) follow(join(root, 'assets', name));
  }
};
for (const [, name] of readFileSync(join(root, 'index.html'), 'utf8').matchAll(/(?:src|href)="\/(assets\/[^"]+\.js)"/g)) {
  follow(join(root, name));
}
for (const path of files) if (/\/Home-[^/]+\.js$/.test(path)) follow(path);
const first = [...seen].reduce((sum, path) => sum + (packed.get(path) ?? 0), 0);
console.log(`explorer: ${files.length} files, ${(all / 1024).toFixed(0)} kB with packed copies;`
  + ` scripts of the first route ${(first / 1024).toFixed(1)} kB gzip of ${FIRST_ROUTE_SCRIPT_MAX / 1024}`);
if (seen.size < 2) throw new Error('the scripts of the first route were not found');
if (first > FIRST_ROUTE_SCRIPT_MAX) throw new Error('the first route is over its budget');
if (all > ALL_MAX) throw new Error('the explorer is over its budget');
