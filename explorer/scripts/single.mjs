// Puts verifier.html together: script, styles and module in one file that may ask for nothing, which its own policy says.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

const at = (path) => new URL(`../${path}`, import.meta.url);
const script = readFileSync(at('dist/verifier/verifier.js'), 'utf8').replaceAll('</script', '<\\/script');
const style = readFileSync(at('dist/verifier/verifier.css'), 'utf8').trim();
const module = readFileSync(at('src/generated/reader.wasm')).toString('base64');
const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
// The worker's script lies in the page's own, so it is a blob; nothing can be asked for from anywhere.
const policy = `default-src 'none'; script-src ${hash(script)} blob: 'wasm-unsafe-eval'; worker-src blob:; style-src ${hash(style)}; img-src data:; base-uri 'none'; form-action 'none'`;
writeFileSync(at('dist/app/verifier.html'), `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>Vouch</title>
<style>${style}</style>
</head>
<body>
<div id="app"></div>
<script type="application/wasm-base64" id="reader">${module}</script>
<script>${script}</script>
</body>
</html>
`);
