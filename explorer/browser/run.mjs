// Browser tests: every page in both languages, both themes and two widths over a real consortium; then a node that lies.
//
// environment: VOUCH_BIN, VOUCH_CONTRACTS; CHROMIUM (the browser's path); VOUCH_PICTURES (a folder for pictures of the pages)
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { fill, sha256, startNetwork, startProxy } from './net.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const pictures = process.env.VOUCH_PICTURES;
const faults = [];
const began = Date.now();
const say = (text) => console.log(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${text}`);
const check = (holds, text) => { if (!holds) faults.push(text); };

/** A page whose every complaint and every request elsewhere is a fault. */
async function openPage(browser, options, allowed) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, reducedMotion: 'reduce', ...options });
  const page = await context.newPage();
  page.expectErrors = false;
  page.on('console', (message) => {
    const isComplaint = ['error', 'warning'].includes(message.type()) || /Content Security Policy/.test(message.text());
    if (isComplaint && !page.expectErrors) faults.push(`${page.url()}: console: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`${page.url()}: ${error.message}`));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.origin !== allowed && !['data:', 'blob:'].includes(url.protocol)) faults.push(`${page.url()}: asked ${request.url()}`);
  });
  return { context, page };
}

async function settle(page) {
  await page.waitForSelector('h1');
  await page.waitForFunction(() => !document.querySelector('main [aria-busy="true"], main [data-trust="checking"]'), null, { timeout: 20_000 });
}

async function matrix(browser, base, routes) {
  for (const language of ['zh-CN', 'en']) {
    for (const theme of ['light', 'dark']) {
      for (const [width, height] of [[1440, 900], [390, 844]]) {
        const { context, page } = await openPage(browser, { locale: language, colorScheme: theme, viewport: { width, height } }, base);
        for (const [name, path] of routes) {
          await page.goto(base + path);
          await settle(page);
          const place = `${name} ${language} ${theme} ${width}`;
          if (pictures) await page.screenshot({ path: join(pictures, `${name}-${language}-${theme}-${width}.png`), fullPage: width < 500 });
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          check(wide <= 0, `${place}: ${wide} px wider than the window`);
          check(await page.evaluate(() => document.documentElement.lang) === language, `${place}: another language`);
          check(await page.locator('[data-lie], [data-wrong-chain]').count() === 0, `${place}: an honest node is called a liar`);
          await page.evaluate(axe);
          const result = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
          for (const violation of result.violations) {
            faults.push(`${place}: ${violation.id}: ${violation.nodes.slice(0, 3).map((node) => node.html.slice(0, 140)).join(' | ')}`);
          }
        }
        await context.close();
        say(`${routes.length} pages, ${language}, ${theme}, ${width} px`);
      }
    }
  }
}

/** From plain http under a name that is not localhost, where browsers keep their newer functions away. */
async function honest(browser, base, made, net) {
  const { context, page } = await openPage(browser, { locale: 'en', viewport: { width: 1200, height: 900 } }, base);
  await page.goto(base);
  check(await page.evaluate(() => !isSecureContext), 'the test of plain http runs in a secure context');
  await page.goto(`${base}/blocks/${made.first.height}`);
  await page.waitForSelector('[data-trust="ok"]');
  await page.locator('.hash button').first().click();
  await page.waitForFunction(() => document.querySelector('.hash button')?.textContent === '✓');

  await page.goto(`${base}/transactions/${made.first.id}`);
  await settle(page);
  check(await page.locator('[data-trust="ok"]').count() === 3, 'transaction, receipt and event were not all verified');

  await page.goto(`${base}/blocks`);
  await settle(page);
  const top = () => page.locator('tbody tr td').first().innerText();
  const before = await top();
  made.register('invoice 2026-100');
  await page.waitForSelector('button.pill');
  check(await top() === before, 'rows moved by themselves');
  await page.locator('button.pill').click();
  await page.waitForFunction((old) => document.querySelector('tbody tr td')?.textContent !== old, before);

  await page.goto(`${base}/contracts/notary`);
  await page.getByRole('button', { name: 'Ask count', exact: true }).click();
  await page.getByText('said by the node').first().waitFor();

  const folder = mkdtempSync(join(tmpdir(), 'vouch-files-'));
  const file = (name, text) => { writeFileSync(join(folder, name), text); return join(folder, name); };
  const good = join(folder, 'good.json');
  net.run('tx', 'proof', made.first.id, '--claim', 'event', '--index', '0', '--out', good);
  const altered = readFileSync(good, 'utf8').replace(/"state_root":\s*"(.)/, (all, digit) => all.slice(0, -1) + (digit === '0' ? '1' : '0'));
  const sent = [];
  page.on('request', (request) => { if (request.postData()) sent.push(request.postData()); });
  await page.goto(`${base}/verify`);
  await page.locator('input[type=file]').setInputFiles([file('invoice.txt', 'invoice 2026-001'), file('other.txt', 'a secret 4711'), good, file('bad.json', altered)]);
  await page.waitForSelector('[data-found]');
  await page.waitForSelector('[data-proof="ok"]');
  await page.waitForSelector('[data-proof="bad"]');
  await page.getByText('Not registered under').waitFor();
  check(sent.length > 0 && !sent.some((body) => /secret|2026-001/.test(body)), 'a file’s content left the browser');
  check(sent.some((body) => body.includes(sha256('a secret 4711'))), 'the digest that was asked for is another one');
  rmSync(folder, { recursive: true });

  await page.goto(base);
  await page.locator('#search').fill('110101199003071233');
  await page.locator('#search').press('Enter');
  await page.getByText('not searched for').waitFor();
  check(!page.url().includes('1101'), 'a personal number stands in the address');
  await page.keyboard.press('Escape');
  await page.locator('#search').fill(made.first.id);
  await page.locator('#search').press('Enter');
  await page.waitForURL(`**/transactions/${made.first.id}`);

  page.expectErrors = true;
  await page.goto(`${base}/blocks/999999999`);
  await page.getByText('block.unknown').waitFor();
  await page.goto(`${base}/transactions/${'0'.repeat(64)}`);
  await page.getByText('does not know the transaction').waitFor();
  await context.close();
  say('plain http, copying, new rows, query, files, search, errors');
}

async function lies(browser, base, proxy, made) {
  const places = [
    ['header', `/blocks/${made.first.height}`], ['certificate', `/blocks/${made.first.height}`], ['header', '/'], ['header', '/blocks'],
    ['proof', `/transactions/${made.first.id}`], ['field', `/transactions/${made.first.id}`], ['outcome', `/transactions/${made.first.id}`],
    ['validators', '/nodes'],
  ];
  for (const [lie, path] of places) {
    const { context, page } = await openPage(browser, { locale: 'en' }, base);
    page.expectErrors = true;
    proxy.lie = lie;
    await page.goto(base + path);
    await page.waitForSelector('[data-lie]', { timeout: 15_000 }).catch(() => faults.push(`a false ${lie} was not found out on ${path}`));
    await context.close();
  }
  proxy.lie = 'none';
  const { context, page } = await openPage(browser, { locale: 'en' }, base);
  await page.addInitScript(() => localStorage.setItem('vouch.chain', JSON.stringify({ chain: 'ab'.repeat(32), how: 'typed', at: 1 })));
  await page.goto(`${base}/blocks/${made.first.height}`);
  await page.waitForSelector('[data-wrong-chain]');
  await page.waitForSelector('[data-lie]');
  check(await page.locator('[data-trust="ok"]').count() === 0, 'something of another chain counts as verified');
  await context.close();
  say(`${places.length} lies and a node of another chain were found out`);
}

async function lost(browser, base, proxy) {
  const { context, page } = await openPage(browser, { locale: 'en' }, base);
  page.expectErrors = true;
  await page.goto(base);
  await settle(page);
  proxy.close();
  await page.getByText('does not answer').waitFor({ timeout: 30_000 });
  await context.close();
  say('a node that is gone is said to be gone');
}

let net;
let browser;
let proxy;
try {
  if (pictures) mkdirSync(pictures, { recursive: true });
  net = await startNetwork(Number(process.env.VOUCH_BROWSER_PORT ?? 18_450));
  const made = fill(net);
  say('the network is up and has something to show');
  proxy = await startProxy(net.api);
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
      '--disable-sync', '--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable', '--host-resolver-rules=MAP explorer.example 127.0.0.1'],
  });
  const routes = [['home', '/'], ['blocks', '/blocks'], ['block', `/blocks/${made.first.height}`], ['transactions', '/transactions'],
    ['transaction', `/transactions/${made.first.id}`], ['members', '/members?name=platform'], ['nodes', '/nodes'], ['contracts', '/contracts'],
    ['contract', '/contracts/notary'], ['governance', '/governance'], ['proposal', '/governance/1'], ['verify', '/verify'], ['interface', '/interface'],
    ['missing', '/nowhere']];
  await matrix(browser, net.api, routes);
  const base = `http://explorer.example:${proxy.port}`;
  await honest(browser, base, made, net);
  await lies(browser, base, proxy, made);
  await lost(browser, base, proxy);
} catch (error) {
  faults.push(error.stack ?? String(error));
} finally {
  await browser?.close();
  proxy?.close();
  await net?.stop();
}
for (const fault of [...new Set(faults)]) console.error(`FAULT ${fault}`);
assert.equal(faults.length, 0, `${faults.length} faults`);
say('the explorer works in the browser');
