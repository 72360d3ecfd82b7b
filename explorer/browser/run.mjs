// Browser tests: every page in both languages, both themes and two widths over a real consortium; then a node that lies.
//
// environment: VOUCH_BIN, VOUCH_CONTRACTS; CHROMIUM (the browser's path); VOUCH_PICTURES (a folder for pictures of the pages);
// VOUCH_PAGES (pages that were built since the program was, explorer/dist/app); VOUCH_ONLY (parts by name, as members,packages)
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { journeys } from './journeys.mjs';
import { members, prepare } from './members.mjs';
import { fill, fillDocuments, sha256, startNetwork, startProxy } from './net.mjs';
import { inspect, openPage, check, counts, faults, pictures, say, settle } from './page.mjs';
import { packages } from './packages.mjs';
import { uplinks } from './uplink.mjs';
import { votes } from './votes.mjs';

async function matrix(browser, base, routes) {
  for (const language of ['zh-CN', 'en']) {
    for (const theme of ['light', 'dark']) {
      for (const [width, height] of [[1440, 900], [390, 844]]) {
        const { context, page } = await openPage(browser, { locale: language, colorScheme: theme, viewport: { width, height } }, base);
        for (const [name, path] of routes) {
          await page.goto(base + path);
          await settle(page);
          const place = `${name} ${language} ${theme} ${width}`;
          check(await page.evaluate(() => document.documentElement.lang) === language, `${place}: another language`);
          await inspect(page, place);
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
  await counts(page.locator('[data-trust="ok"]'), 3, 'transaction, receipt and event were not all verified');

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

/** The pages over the index: what they find, what they verify, and that they can be used without a mouse. */
async function documents(browser, base, docs) {
  const { context, page } = await openPage(browser, { locale: 'en', viewport: { width: 1200, height: 900 } }, base);
  const rows = page.locator('tbody tr');
  await page.goto(`${base}/documents`);
  await settle(page);
  await counts(rows, 9, 'nine documents were submitted');
  await page.getByRole('navigation', { name: 'Category' }).getByRole('link', { name: /^Transaction/ }).click();
  await page.waitForURL(/\/documents\?category=Transaction$/);
  await page.waitForSelector('[data-total="3"]');
  await counts(rows, 3, 'three documents are of category transaction');
  await page.getByText('Filters').click();
  await page.getByLabel('State').selectOption('Revoked');
  await page.getByText('Nothing fits the filter').waitFor();
  await page.goBack();
  await page.waitForSelector('[data-total="3"]');
  await page.goto(`${base}/documents?number=ht-2026`);
  await settle(page);
  await counts(rows, 2, 'two public texts begin with HT-2026');
  await page.getByLabel('Public text begins with').fill('110101199003071233');
  await page.getByLabel('Public text begins with').press('Enter');
  await page.getByText('not searched for').waitFor();
  check(!page.url().includes('1101'), 'a personal number stands in the address');
  await page.goto(`${base}/documents?party=${encodeURIComponent(docs.person)}`);
  await settle(page);
  await counts(rows, 9, 'all documents name the person');

  await page.goto(`${base}/documents`);
  await settle(page);
  const first = () => page.locator('tbody tr td').nth(1).innerText();
  const before = await first();
  docs.submit('worker-card', { name: 'Zhao Ceshi', result: 'passed' });
  await page.waitForSelector('button.pill');
  check(await first() === before, 'rows moved by themselves');
  await page.locator('button.pill').click();
  await page.waitForFunction((old) => document.querySelectorAll('tbody tr td')[1]?.textContent?.trim() !== old, before);

  await page.goto(`${base}/documents/${docs.finding}`);
  await settle(page);
  await page.waitForFunction(() => document.querySelectorAll('[data-trust="ok"]').length >= 2);
  await page.getByRole('navigation', { name: 'Versions' }).getByRole('link', { name: 'v1' }).click();
  await page.waitForURL(/\?version=1$/);
  await page.getByText('superseded').first().waitFor();
  await page.goto(`${base}/documents/${docs.contract}`);
  await settle(page);
  await page.getByText('HT-2026-00931').first().waitFor();
  await counts(page.getByText('credit'), 1, 'the grant is not shown');
  await page.goto(`${base}/documents/${docs.shifts[2]}`);
  await settle(page);
  await page.getByText('restricted').first().waitFor();
  await page.waitForSelector('tr[data-standing="held"]');

  await page.goto(`${base}/documents/${docs.shifts[0]}/provenance?depth=3`);
  await page.waitForSelector('[data-node]');
  await page.waitForFunction(() => Number(document.querySelector('[data-edges]')?.getAttribute('data-edges')) >= 4);
  await settle(page);
  const node = (id) => page.locator(`[data-node="${id}"]`);
  await node(docs.shifts[0]).focus();
  await page.keyboard.press('ArrowLeft');
  check(await page.evaluate((id) => document.activeElement?.getAttribute('data-node') === id, docs.contract), 'the left arrow does not lead to what the document stands on');
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('ArrowRight');
  check(await page.evaluate((ids) => ids.includes(document.activeElement?.getAttribute('data-node')), [docs.bill, docs.finding]), 'the right arrow does not lead to what stands on the document');
  await page.getByRole('button', { name: 'As a list' }).click();
  await page.getByText('It stands on, 1 steps away').waitFor();
  check(page.url().includes('view=list'), 'the view does not stand in the address');

  await page.goto(`${base}/statistics`);
  await settle(page);
  await page.getByRole('img', { name: /Documents by day/ }).waitFor();
  await page.goto(`${base}/disputes`);
  await settle(page);
  await page.waitForSelector('article [data-trust="ok"]');
  await page.goto(`${base}/operations`);
  await page.getByRole('img', { name: /Block interval/ }).waitFor({ timeout: 30_000 });
  await counts(page.getByText('as the chain counts'), 4, 'the index does not hold what the chain counts');

  for (const [wanted, to] of [['FP-2026-0077', `/documents/${docs.bill}`], [docs.card.slice(0, 12), `/documents/${docs.card}`], ['regulator', '/members?name=regulator']]) {
    await page.goto(base);
    await page.locator('#search').fill(wanted);
    await page.locator('#search').press('Enter');
    await page.waitForURL((url) => url.pathname + url.search === to);
  }
  await page.locator('#search').fill('JS-2026');
  await page.locator('#search').press('Enter');
  await page.waitForSelector('[data-hits] li');
  await counts(page.locator('[data-hits] li'), 3, 'three public texts begin with JS-2026');
  page.expectErrors = true;
  await page.goto(`${base}/documents/${'0'.repeat(32)}`);
  await page.getByText('vault.unknown_document').waitFor();
  await context.close();
  say('documents: filters, paging, versions, proofs, chains of evidence, search');
}

async function lies(browser, base, proxy, made, docs) {
  const places = [
    ['header', `/blocks/${made.first.height}`], ['certificate', `/blocks/${made.first.height}`], ['header', '/'], ['header', '/blocks'],
    ['proof', `/transactions/${made.first.id}`], ['field', `/transactions/${made.first.id}`], ['outcome', `/transactions/${made.first.id}`],
    ['validators', '/nodes'], ['document', `/documents/${docs.contract}`], ['record', `/documents/${docs.contract}`],
    ['edge', `/documents/${docs.contract}/provenance`], ['dispute', '/disputes'], ['proposal_title', '/governance/1'], ['proposal_action', '/governance/1'],
    ['proposal_ballot', '/governance/1'],
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
  say('the network is up');
  const docs = fillDocuments(net);
  say('the network is up and has something to show');
  proxy = await startProxy(net.api);
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
      '--disable-sync', '--disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable', '--host-resolver-rules=MAP explorer.example 127.0.0.1'],
  });
  const routes = [['home', '/'], ['blocks', '/blocks'], ['block', `/blocks/${made.first.height}`], ['transactions', '/transactions'],
    ['transaction', `/transactions/${made.first.id}`], ['members', '/members?name=platform'], ['nodes', '/nodes'], ['contracts', '/contracts'],
    ['documents', '/documents'], ['document', `/documents/${docs.contract}`], ['document-erased', `/documents/${docs.shifts[2]}`],
    ['provenance', `/documents/${docs.shifts[0]}/provenance?depth=3&view=graph`], ['provenance-list', `/documents/${docs.shifts[0]}/provenance?view=list`],
    ['statistics', '/statistics'], ['audit-signed-out', '/audit'], ['readings-signed-out', `/documents/${docs.contract}/audit`], ['sign-in', '/sign-in'], ['uplink-signed-out', '/uplink'], ['disputes', '/disputes'], ['operations', '/operations'], ['contract', '/contracts/notary'], ['governance', '/governance'], ['proposal', '/governance/1'], ['propose-signed-out', '/governance/new'], ['verify', '/verify'], ['interface', '/interface'],
    ['missing', '/nowhere']];
  const only = process.env.VOUCH_ONLY?.split(',');
  const wanted = (part) => !only || only.includes(part);
  const base = `http://explorer.example:${proxy.port}`;
  if (wanted('matrix')) await matrix(browser, net.api, routes);
  if (wanted('honest')) await honest(browser, base, made, net);
  if (wanted('documents')) await documents(browser, base, docs);
  if (wanted('lies')) await lies(browser, base, proxy, made, docs);
  const shown = ['members', 'packages', 'journeys', 'votes', 'uplink'].some(wanted) ? prepare(net, docs) : null;
  if (wanted('members')) await members(browser, net, docs, shown);
  if (wanted('packages')) await packages(browser, net, docs, shown);
  if (wanted('journeys')) await journeys(browser, net, docs, shown);
  if (wanted('votes')) await votes(browser, net, docs, shown);
  if (wanted('uplink')) await uplinks(browser, net);
  if (wanted('lost')) await lost(browser, base, proxy);
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
