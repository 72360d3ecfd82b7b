// Browser tests of evidence packages: verifier.html from the disk without a network says what `vouch verify` says, code by code.
import { execFileSync } from 'node:child_process';
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { anchor } from './members.mjs';
import { accountKey } from './net.mjs';
import { built, check, inspect, openPage, say } from './page.mjs';

/** Name and content of each member, read from the local headers of an archive in its one form. */
function members(bytes) {
  const found = [];
  for (let at = 0; bytes.readUInt32LE(at) === 0x04034b50;) {
    const [size, name] = [bytes.readUInt32LE(at + 18), bytes.readUInt16LE(at + 26)];
    const begin = at + 30 + name + bytes.readUInt16LE(at + 28);
    found.push([bytes.toString('latin1', at + 30, at + 30 + name), Buffer.from(bytes.subarray(begin, begin + size))]);
    at = begin + size;
  }
  return found;
}

/** The archive anew in its one form (docs/evidence.md), CRCs as they must be. */
function packed(list) {
  const [parts, directory] = [[], []];
  let at = 0;
  for (const [name, content] of list) {
    const text = Buffer.from(name, 'latin1');
    const common = Buffer.alloc(26);
    common.writeUInt16LE(10, 0);
    common.writeUInt16LE(0x21, 8);
    common.writeUInt32LE(crc32(content), 10);
    common.writeUInt32LE(content.length, 14);
    common.writeUInt32LE(content.length, 18);
    common.writeUInt16LE(text.length, 22);
    const place = Buffer.alloc(4);
    place.writeUInt32LE(at);
    parts.push(Buffer.from('PK\x03\x04', 'latin1'), common, text, content);
    directory.push(Buffer.from('PK\x01\x02\x2d\x00', 'latin1'), common, Buffer.alloc(10), place, text);
    at += 30 + text.length + content.length;
  }
  const entries = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(list.length, 8);
  end.writeUInt16LE(list.length, 10);
  end.writeUInt32LE(entries.length, 12);
  end.writeUInt32LE(at, 16);
  return Buffer.concat([...parts, entries, end]);
}

/** A package changed in every way that a stranger can change it: name of the case, bytes. */
function corruptions(good) {
  const list = members(good);
  const cases = [];
  const put = (name, bytes) => cases.push([`${String(cases.length).padStart(3, '0')}-${name.replace(/[^a-z0-9]+/gi, '-')}.zip`, bytes]);
  const copy = () => list.map(([name, content]) => [name, Buffer.from(content)]);
  list.forEach(([name, content], n) => {
    for (const part of [0.02, 0.35, 0.7, 0.98]) {
      const changed = copy();
      const at = Math.floor(content.length * part);
      changed[n][1][at] ^= 1 << (at % 8);
      put(`flip ${name} ${at}`, packed(changed));
    }
    const cut = copy();
    cut[n][1] = cut[n][1].subarray(0, -1);
    put(`cut ${name}`, packed(cut));
    put(`without ${name}`, packed(list.filter((_, i) => i !== n)));
    put(`twice ${name}`, packed(list.flatMap((member, i) => (i === n ? [member, member] : [member]))));
    const moved = copy();
    [moved[n], moved[(n + 1) % list.length]] = [moved[(n + 1) % list.length], moved[n]];
    put(`moved ${name}`, packed(moved));
  });
  // Of a field, in the middle of its proof.
  const other = copy().map(([name, content]) => [name, name === 'documents/1/disclosures.json'
    ? Buffer.from(content.toString().replace(/"path":\["(.)/, (all, digit) => all.slice(0, -1) + (digit === '0' ? '1' : '0'))) : content]);
  put('proof of a field', packed(other));
  put('stranger', packed([['readme.txt', Buffer.from('x')], ...list]));
  put('outside', packed([['../chain.json', Buffer.from('x')], ...list]));
  put('cut-off', good.subarray(0, Math.floor(good.length / 2)));
  put('appended', Buffer.concat([good, Buffer.from('x')]));
  const crc = Buffer.from(good);
  crc[14] ^= 1;
  put('crc', crc);
  const mode = Buffer.from(good);
  mode[6] ^= 1;
  put('flags', mode);
  put('not-a-package', Buffer.from('PK and something else'));
  return cases;
}

/** What the command line says: a code, or `ok`. */
function judged(net, file, chain) {
  try {
    execFileSync(process.env.VOUCH_BIN, ['--json', 'verify', file, '--chain-id', chain], { cwd: net.folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    return 'ok';
  } catch (error) {
    return JSON.parse(String(error.stdout).trim() || String(error.stderr).trim()).code;
  }
}

const codesOn = (page) => page.evaluate(() => Object.fromEntries([...document.querySelectorAll('[data-item]')].map((item) => {
  const said = item.querySelector('[data-evidence]');
  return [item.querySelector('h2')?.textContent ?? '', said?.getAttribute('data-evidence') === 'ok' ? 'ok' : said?.getAttribute('data-code')];
})));

/** The page kept on disk, on a machine with a network: its own policy lets nothing out, in any way a page has. */
async function mute(browser, file) {
  const heard = [];
  const listener = http.createServer((request, response) => { heard.push(request.url); response.end(); });
  await new Promise((resolve) => { listener.listen(0, '127.0.0.1', resolve); });
  const to = `http://127.0.0.1:${listener.address().port}`;
  const page = await browser.newPage();
  await page.goto(`file://${file}`);
  await page.waitForSelector('h1');
  const refused = await page.evaluate(async (url) => {
    const blocked = [];
    addEventListener('securitypolicyviolation', (event) => blocked.push(event.effectiveDirective));
    await fetch(`${url}/fetch`).catch(() => null);
    try { navigator.sendBeacon(`${url}/beacon`, 'x'); } catch { /* refused at once */ }
    try { new WebSocket(url.replace('http', 'ws')); } catch { /* refused at once */ }
    const add = (name, values) => document.body.append(Object.assign(document.createElement(name), values));
    add('img', { src: `${url}/image` });
    add('script', { src: `${url}/script.js` });
    add('iframe', { src: `${url}/frame` });
    add('link', { rel: 'stylesheet', href: `${url}/style.css` });
    add('link', { rel: 'prefetch', href: `${url}/prefetch` });
    const form = Object.assign(document.createElement('form'), { action: `${url}/form`, method: 'post' });
    document.body.append(form);
    form.submit();
    await new Promise((resolve) => { setTimeout(resolve, 1500); });
    return blocked;
  }, to);
  for (const directive of ['connect-src', 'img-src', 'script-src-elem', 'frame-src', 'style-src-elem', 'form-action']) check(refused.includes(directive), `verifier.html lets through what ${directive} is for: ${refused.join(' ')}`);
  check(heard.length === 0, `verifier.html asked for ${heard.join(' ')}`);
  await page.close();
  listener.close();
}

export async function packages(browser, net, docs, made) {
  const chain = net.at('institution', 'status').chain;
  const good = join(net.folder, 'good.zip');
  const { node_name: node } = net.at('institution', 'status');
  const head = net.at('institution', 'query', 'documents', 'audit_head', '--args', JSON.stringify({ member: 'institution', node }));
  // The package takes a reading along, for which the chain must vouch.
  if (!head.value) {
    net.at('institution', 'doc', 'read', made.slip, '--purpose', 'settlement', '--key', accountKey('institution'));
    anchor(net, 'institution');
  }
  net.at('institution', 'doc', 'evidence', made.slip, '--purpose', 'settlement', '--file', `receipt=${made.receipt}`,
    '--audit', node, '--statement', 'case 17', '--out', good, '--key', accountKey('institution'));
  const cases = [['good.zip', readFileSync(good)], ...corruptions(readFileSync(good))];
  const files = cases.map(([name, bytes]) => {
    const path = join(net.folder, name);
    if (name !== 'good.zip') writeFileSync(path, bytes);
    return path;
  });
  const expected = Object.fromEntries(cases.map(([name], i) => [name, judged(net, files[i], chain)]));
  const codes = new Set(Object.values(expected));
  check(expected['good.zip'] === 'ok' && codes.size >= 12, `the cases come to few codes: ${[...codes].join(' ')}`);
  check(Object.values(expected).filter((code) => code === 'ok').length === 1, 'a change that is not found');

  const base = net.apiOf('institution');
  const explorer = await openPage(browser, { locale: 'en', acceptDownloads: true }, base);
  await explorer.page.goto(`${base}/verify`);
  const download = explorer.page.waitForEvent('download');
  await explorer.page.getByRole('link', { name: 'Verifier in one file' }).click();
  const file = join(net.folder, 'verifier.html');
  await (await download).saveAs(file);
  // What is saved comes past the pages that stand in for the program's.
  if (built) copyFileSync(join(built, 'verifier.html'), file);
  const field = cases.find(([name]) => expected[name] === 'evidence.field_changed');
  await explorer.page.locator('input[type=file]').setInputFiles([good, join(net.folder, field[0])]);
  await explorer.page.locator('[data-evidence="ok"]').waitFor({ timeout: 60_000 });
  await explorer.page.locator('[data-code="evidence.field_changed"]').waitFor({ timeout: 60_000 });
  await inspect(explorer.page, 'verify-package en light 1280');
  await explorer.context.close();

  const { context, page } = await openPage(browser, { locale: 'en', viewport: { width: 1200, height: 900 } }, 'null');
  await context.setOffline(true);
  await page.goto(`file://${file}`);
  const input = page.locator('input[type=file]');
  await input.setInputFiles(good);
  await page.locator('[data-evidence="itself"]').waitFor({ timeout: 60_000 });
  check(await page.locator('[data-evidence="ok"]').count() === 0, 'a package of no named chain counts as one that holds');
  await page.locator('input.mono').fill('ab'.repeat(32));
  await input.setInputFiles(good);
  await page.locator('[data-code="evidence.foreign_chain"]').waitFor({ timeout: 60_000 });
  await page.locator('input.mono').fill(chain);
  await input.setInputFiles(join(net.folder, 'slip.json'));
  await page.locator('[data-evidence="none"]').waitFor();
  await input.setInputFiles(files);
  await page.waitForFunction((count) => document.querySelectorAll('[data-item]').length === count && !document.querySelector('[aria-busy="true"]'), files.length + 3, { timeout: 300_000 });
  const found = await codesOn(page);
  for (const [name, code] of Object.entries(expected)) {
    // The newest item of a name stands first and is read last: the good package has three.
    const said = name === 'good.zip' ? await page.locator('[data-item]', { hasText: 'good.zip' }).first().locator('[data-evidence]').getAttribute('data-evidence') : found[name];
    check(said === code, `${name}: vouch verify says ${code}, verifier.html says ${said}`);
  }
  const report = JSON.parse(execFileSync(process.env.VOUCH_BIN, ['--json', 'verify', good, '--chain-id', chain], { encoding: 'utf8' }));
  const shown = await page.locator('[data-item]', { hasText: 'good.zip' }).first().innerText();
  for (const said of [...report.verified, ...report.claimed]) check(shown.includes(said.en) && shown.includes(said.code), `verifier.html does not say ${said.code}`);
  await context.close();

  for (const locale of ['zh-CN', 'en']) {
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [1440, 390]) {
        const at = await openPage(browser, { locale, colorScheme, viewport: { width, height: 900 }, offline: true }, 'null');
        await at.page.goto(`file://${file}`);
        await at.page.locator('input.mono').fill(chain);
        await at.page.locator('input[type=file]').setInputFiles([join(net.folder, field[0]), good]);
        await at.page.locator('[data-evidence="ok"]').waitFor({ timeout: 60_000 });
        await inspect(at.page, `verifier ${locale} ${colorScheme} ${width}`);
        await at.context.close();
      }
    }
  }
  await mute(browser, file);
  say(`verifier.html, offline from the disk: ${cases.length} packages, ${codes.size} codes, as vouch verify says`);
}
