// Browser tests of what needs a key: sign-in, private fields and files, refusals, the access audit, over the nodes of the members.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { accountKey, LIES } from './net.mjs';
import { check, faults, inspect, openPage, say, settle } from './page.mjs';

export const PASSWORD = 'a-password-for-tests-4711';
const INCOME = '1280.50';
const RECEIPT = Buffer.from(Array.from({ length: 150_000 }, (_, i) => (i * 7 + (i >> 8)) & 255));
/** More than two pieces, of 4 MiB each. */
const SCAN = Buffer.from(Uint8Array.from({ length: 9_300_000 }, (_, i) => (i * 31 + (i >> 11)) & 255));

/** To another page without loading anew, which would forget the key. */
export async function go(page, path) {
  await page.evaluate((to) => { history.pushState(null, '', to); dispatchEvent(new PopStateEvent('popstate')); }, path);
  await settle(page);
}

export async function signIn(page, base, file, password = '', to = '/members') {
  await page.goto(`${base}/sign-in?to=${encodeURIComponent(to)}`);
  await settle(page);
  await page.locator('input[type=file]').setInputFiles(file);
  await page.locator('form.form dl').waitFor();
  if (password) await page.locator('input[type=password]').fill(password);
  await page.locator('form.form button[type=submit]').press('Enter');
  await page.waitForURL(`${base}${to}`, { timeout: 60_000 });
  await settle(page);
}

/** Documents with rows, files, graded fields and purposes, and an invoice over one; one that is erased; keys under a password. */
export function prepare(net, docs) {
  const receipt = join(net.folder, 'receipt.bin');
  const record = {
    schema: 'payslip', parties: { worker: docs.person, client: 'enterprise' }, public: ['number'], references: [{ name: 'contract', id: docs.contract, version: 1 }],
    values: { number: 'GZ-2026-11', income: INCOME, lines: Array.from({ length: 450 }, (_, i) => ({ day: `2026-11-${String(1 + (i % 28)).padStart(2, '0')}`, amount: `${i}.00` })),
      receipt: { file: 'receipt.bin', media: 'application/octet-stream' }, id_number: '11010519491231002X', paid: true },
  };
  docs.bytes('receipt.bin', RECEIPT);
  docs.bytes('scan.bin', SCAN);
  const slip = docs.by('institution', 'doc', 'submit', docs.file('slip.json', record)).id;
  const scans = ['receipt.bin', 'scan.bin'].map((file) => ({ file, media: 'application/octet-stream' }));
  const files = docs.by('institution', 'doc', 'submit', docs.file('files.json', { ...record, values: { number: 'GZ-2026-12', receipt: scans } })).id;
  const invoice = docs.submit('bill', { number: 'FP-2026-0101', total: INCOME }, [['shifts', slip]], { client: true });
  docs.by('institution', 'doc', 'erase', docs.revoked, '--code', 'consent');
  const add = (name, roles, member = 'institution') => {
    const key = net.keyWithPassword(`${name}.key`, PASSWORD);
    net.at(member, 'user', 'add', member, name, '--public-key', key.public_key, ...roles.flatMap((role) => ['--role', role]), '--key', `admins/${member}.key`);
    return key.file;
  };
  return {
    slip, files, invoice, receipt, clerk: add('clerk', ['reader', 'auditor']), porter: add('porter', ['operator']),
    inspector: add('inspector', ['reader', 'auditor'], 'regulator'), stranger: net.keyWithPassword('stranger.key', PASSWORD).file,
  };
}

/** The head of a node's log, put on the chain by its service account as the node does every hour. */
export function anchor(net, member, previous = '00'.repeat(32)) {
  const audit = net.at(member, 'doc', 'audit', '--limit', '1000', '--key', accountKey(member)).items;
  const last = audit.at(-1);
  net.at(member, 'contract', 'call', 'documents', 'anchor_audit', '--key', `nodes/${member}.node/keys/service.key`,
    '--args', JSON.stringify({ node: net.at(member, 'status').node_name, previous, entries: last.number, head: last.hash }));
  return last;
}

/** As from plain http: the browser keeps its own cryptography away, ours goes on. */
async function signing(browser, net, made) {
  const base = net.apiOf('institution');
  const { context, page } = await openPage(browser, { locale: 'en', viewport: { width: 1200, height: 900 } }, base);
  page.expectErrors = true;
  await page.addInitScript(() => {
    for (const name of ['subtle', 'randomUUID']) Object.defineProperty(Crypto.prototype, name, { get: () => undefined });
  });
  const sent = [];
  page.on('request', (request) => sent.push(`${request.url()} ${JSON.stringify(request.headers())} ${request.postData() ?? ''}`));
  const { 'content-security-policy': policy, 'x-frame-options': frames } = (await page.goto(`${base}/sign-in`)).headers();
  for (const part of ["default-src 'none'", "connect-src 'self'", "script-src 'self' 'wasm-unsafe-eval'", "worker-src 'self'", "frame-ancestors 'none'", "form-action 'none'"]) {
    check(policy.includes(part), `the content policy lacks ${part}`);
  }
  check(frames === 'DENY' && !/unsafe-inline|'unsafe-eval'|\*/.test(policy), `the page may be framed or its policy is loose: ${frames} ${policy}`);
  await settle(page);
  check(await page.locator('[data-unprotected]').count() === 0, 'a page over TLS counts as unprotected');
  check(await page.evaluate(() => crypto.subtle === undefined), 'the browser has its own cryptography after all');
  const file = page.locator('input[type=file]');
  await file.setInputFiles(join(net.folder, 'slip.json'));
  await page.getByText('keystore.malformed').waitFor();
  check(await page.getByText('cannot be reached').count() === 0, 'a wrong file counts as a node that is gone');
  await file.setInputFiles(made.clerk);
  await page.locator('input[type=password]').waitFor();
  check(await page.evaluate(() => document.activeElement?.getAttribute('type') === 'password'), 'the password is not asked for at once');
  await page.keyboard.type('wrong');
  await page.keyboard.press('Enter');
  await page.getByText('keystore.wrong_password').waitFor({ timeout: 60_000 });
  check(await page.getByText('cannot be reached').count() === 0, 'a wrong password counts as a node that is gone');
  await file.setInputFiles(made.stranger);
  await page.locator('input[type=password]').fill(PASSWORD);
  await page.keyboard.press('Enter');
  // Called off while the password is worked on: nothing comes of it.
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Sign in', exact: true }).waitFor();
  await page.locator('input[type=password]').fill(PASSWORD);
  await page.keyboard.press('Enter');
  await page.getByText('caller.unknown').waitFor({ timeout: 60_000 });
  check(await page.getByRole('button', { name: 'Sign out' }).count() === 0, 'a stranger counts as signed in');

  await signIn(page, base, made.clerk, PASSWORD);
  check(await page.locator('header .who').innerText() === 'clerk', 'the account is not named');
  const key = JSON.parse(readFileSync(made.clerk, 'utf8'));
  const secrets = [PASSWORD, encodeURIComponent(PASSWORD), key.secret.ciphertext, key.secret.salt];
  check(!sent.some((text) => secrets.some((secret) => text.includes(secret))), 'password or key file left the browser');
  check(sent.some((text) => /vouch-signature/.test(text)), 'no request was signed');
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]));
  check(!secrets.some((secret) => kept.includes(secret)) && !kept.includes(key.public_key), 'something of the key is kept');

  await go(page, `/documents/${made.slip}`);
  await page.locator('[data-private]').getByRole('button', { name: /^Read \d/ }).click();
  await page.locator('[data-field="income"]').getByText(INCOME).waitFor({ timeout: 30_000 });
  await page.reload();
  await settle(page);
  check(await page.locator('[data-private] [data-sign-in]').count() === 1, 'a reload does not sign out');
  check(await page.getByText(INCOME).count() === 0, 'what was opened outlives the key');
  await signIn(page, base, made.clerk, PASSWORD, `/documents/${made.slip}`);
  await page.locator('[data-private]').getByRole('button', { name: /^Read \d/ }).click();
  await page.locator('[data-field="income"]').getByText(INCOME).waitFor({ timeout: 30_000 });
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.locator('[data-private] [data-sign-in]').waitFor();
  check(await page.getByText(INCOME).count() === 0, 'what was opened outlives signing out');
  check(page.workers().every((worker) => !/reader/.test(worker.url())), 'the worker with the key outlives signing out');
  await context.close();
  say('sign-in: wrong files, passwords and accounts; nothing of the key leaves; without the browser’s cryptography; gone with the page');
}

/** Read, verified, saved; and each state of refusal. */
async function reading(browser, net, docs, made) {
  const base = net.apiOf('institution');
  const { context, page } = await openPage(browser, { locale: 'en', viewport: { width: 1280, height: 900 }, acceptDownloads: true }, base);
  await signIn(page, base, made.clerk, PASSWORD);
  await go(page, `/documents/${made.slip}`);
  const panel = page.locator('[data-private]');
  check(/5 of 6|6 of 6/.test(await panel.locator('legend').innerText()), `fields open to the issuer: ${await panel.locator('legend').innerText()}`);
  const before = net.at('institution', 'doc', 'audit', made.slip, '--key', accountKey('institution')).items.length;
  await panel.getByRole('button', { name: /^Read \d/ }).click();
  await panel.locator('[data-field="income"]').getByText(INCOME).waitFor();
  const count = Number(await panel.locator('[data-fields]').getAttribute('data-fields'));
  check(await panel.locator('[data-fields] [data-trust="ok"]').count() === count, 'not each field is marked as verified');
  check(await panel.locator('[data-field="lines"] tbody tr').count() === 200, 'rows are not shown some at a time');
  await panel.getByRole('button', { name: '250 more rows' }).click();
  check(await panel.locator('[data-field="lines"] tbody tr').count() === 400, 'further rows are not shown');
  const download = page.waitForEvent('download');
  await panel.getByRole('button', { name: 'Check and save' }).click();
  const saved = readFileSync(await (await download).path());
  check(saved.equals(RECEIPT), 'the file that was saved is another one');
  await panel.locator('[data-saved]').waitFor();
  const logged = net.at('institution', 'doc', 'audit', made.slip, '--key', accountKey('institution')).items;
  check(logged.length === before + 2 && logged.at(-2).access === 'read' && logged.at(-1).access === 'file', 'reading and file do not stand in the audit');
  check(logged.at(-1).purpose === 'settlement', 'the purpose does not stand in the audit');

  // What is no code is not sent: it may be something else in the wrong place.
  const asked = [];
  page.on('request', (request) => asked.push(`${request.url()} ${request.postData() ?? ''}`));
  await panel.locator('select').selectOption('*');
  await panel.locator('input[maxlength="64"]').fill('Lin Ceshi 13800138000');
  await page.keyboard.press('Enter');
  await panel.getByText('Nothing was sent').waitFor();
  check(!asked.some((text) => /Ceshi|13800138000/.test(decodeURIComponent(text))), 'a purpose that is no code left the browser');
  // The node cannot be reached, then it can.
  await panel.locator('select').selectOption('settlement');
  page.expectErrors = true;
  await page.route('**/read', (route) => route.abort());
  await panel.getByRole('button', { name: /^Read \d/ }).click();
  await panel.getByText('The node cannot be reached').waitFor();
  await page.unroute('**/read');
  await panel.getByRole('button', { name: 'Try again' }).click();
  await panel.locator('[data-field="income"]').getByText(INCOME).waitFor();

  const refused = async (who, path, kind, purpose) => {
    const { context: other, page: at } = await openPage(browser, { locale: 'en' }, net.apiOf(who.member));
    at.expectErrors = true;
    await signIn(at, net.apiOf(who.member), who.file, who.password ?? '');
    await go(at, path);
    if (purpose?.code) await at.locator('[data-private] input').fill(purpose.code).then(() => at.keyboard.press('Enter'));
    if (purpose?.pick) await at.locator('[data-private] select').selectOption(purpose.pick);
    await at.locator(`[data-refused="${kind}"]`).waitFor({ timeout: 20_000 }).catch(async () => faults.push(`${path} as ${who.member}: not refused as ${kind}: ${await at.locator('main').innerText()}`));
    await other.close();
  };
  const account = (member) => ({ member, file: join(net.folder, accountKey(member)) });
  await refused(account('platform'), `/documents/${docs.card}`, 'not_entitled', { code: 'credit' });
  await refused(account('enterprise'), `/documents/${made.slip}`, 'purpose_not_allowed', { pick: 'supervision' });
  await refused({ member: 'institution', file: made.porter, password: PASSWORD }, `/documents/${made.slip}`, 'role_missing');
  await refused(account('institution'), `/documents/${docs.shifts[2]}`, 'restricted', { code: 'tax' });
  await refused(account('institution'), `/documents/${docs.revoked}`, 'erased', { code: 'tax' });
  await refused({ member: 'platform', file: join(net.folder, accountKey('institution')) }, `/documents/${made.slip}`, 'foreign');
  await refused({ member: 'institution', file: made.porter, password: PASSWORD }, '/audit', 'role_missing');
  await refused(account('platform'), `/documents/${made.slip}/audit`, 'not_entitled');
  await go(page, `/documents/${docs.revoked}`);
  await page.waitForSelector('tr[data-standing="attested"] a[href^="/blocks/"]');
  check(await page.locator('tr[data-standing]').count() === await page.locator('tr[data-standing="attested"]').count(), 'a holder is not shown as having attested');
  await context.close();
  say('private fields: purpose, proof, rows, file, log, a node that is gone; seven refusals and a foreign node');
}

/** Two files at once, and one that breaks off in the middle and is read again: what is saved is whole. */
async function files(browser, net, made) {
  const base = net.apiOf('institution');
  const { context, page } = await openPage(browser, { locale: 'en', acceptDownloads: true }, base);
  page.expectErrors = true;
  const saved = {};
  page.on('download', (download) => { saved[download.suggestedFilename()] = download.path().then((path) => readFileSync(path)); });
  await signIn(page, base, made.clerk, PASSWORD, `/documents/${made.files}`);
  const panel = page.locator('[data-private]');
  await panel.getByRole('button', { name: /^Read \d/ }).click();
  const buttons = panel.getByRole('button', { name: 'Check and save' });
  await buttons.nth(1).click();
  await buttons.nth(0).click();
  await panel.locator('[data-saved]').nth(1).waitFor({ timeout: 60_000 });
  check(await page.locator('[data-lie]').count() === 0, 'two files at once make a liar of the node');
  check((await saved['receipt.bin'])?.equals(RECEIPT) && (await saved['scan.bin'])?.equals(SCAN), 'files that were saved at once are others');
  delete saved['scan.bin'];
  let pieces = 0;
  await page.route(/\/files\/\d+\/\d+\?/, (route) => {
    pieces += 1;
    return pieces === 2 ? route.abort() : route.continue();
  });
  await buttons.nth(1).click();
  await panel.getByText('The node cannot be reached').waitFor({ timeout: 30_000 });
  await panel.getByRole('button', { name: 'Try again' }).click();
  await panel.locator('[data-saved]').nth(1).waitFor({ timeout: 60_000 });
  check((await saved['scan.bin'])?.equals(SCAN), 'a file that broke off and was read again is not whole');
  await context.close();
  say('files: two at once, one that broke off and was read again');
}

/** Signs out by itself, says so before, and forgets what was shown. */
async function idle(browser, net, made) {
  const base = net.apiOf('institution');
  const { context, page } = await openPage(browser, { locale: 'en' }, base);
  await page.clock.install();
  await signIn(page, base, join(net.folder, accountKey('institution')));
  await go(page, `/documents/${made.slip}`);
  await page.locator('[data-private]').getByRole('button', { name: /^Read \d/ }).click();
  await page.locator('[data-field="income"]').waitFor();
  await page.clock.fastForward(9.5 * 60_000);
  await page.locator('[data-ending]').waitFor();
  await page.getByRole('button', { name: 'Stay signed in' }).click();
  await page.clock.fastForward(2000);
  check(await page.locator('[data-ending]').count() === 0, 'who stays is still warned');
  await page.clock.fastForward(10.1 * 60_000);
  await page.locator('[data-private] [data-sign-in]').waitFor();
  check(await page.getByText(INCOME).count() === 0, 'what was opened outlives the session');
  await page.getByText('nothing was done for 10 minutes').waitFor();
  await context.close();

  // A machine that slept: no timer ran, and the first touch comes too late.
  const slept = await openPage(browser, { locale: 'en' }, base);
  await signIn(slept.page, base, join(net.folder, accountKey('institution')), '', `/documents/${made.slip}`);
  await slept.page.evaluate(() => {
    const now = Date.now;
    Date.now = () => now() + 11 * 60_000;
    dispatchEvent(new PointerEvent('pointerdown'));
    Date.now = now;
  });
  await slept.page.locator('[data-private] [data-sign-in]').waitFor({ timeout: 5000 }).catch(() => faults.push('a machine that slept is still signed in'));
  await slept.context.close();
  say('idle: warned, kept, signed out, forgotten, by the clock too');
}

/** What the node answers comes to the page as a liar would have it: a signed request names the node, so nothing stands between. */
export async function lying(page) {
  const node = { lie: 'none' };
  await page.route('**/api/v1/**', async (route) => {
    if (node.lie === 'none' || /\/events/.test(route.request().url())) return route.continue();
    const response = await route.fetch();
    if (!/application\/json/.test(response.headers()['content-type'] ?? '')) return route.fulfill({ response });
    return route.fulfill({ response, json: LIES[node.lie](new URL(route.request().url()).pathname, await response.json()) });
  });
  return node;
}

/** Who read what, with the chain of records and heads on the chain; by the member, by a regulator at a foreign node. */
async function audits(browser, net, docs, made) {
  const ready = anchor(net, 'institution');
  const base = net.apiOf('institution');
  const { context, page } = await openPage(browser, { locale: 'en', viewport: { width: 1280, height: 900 } }, base);
  const node = await lying(page);
  await signIn(page, base, made.clerk, PASSWORD);
  await go(page, '/audit');
  await page.locator('[data-trust="ok"]').first().waitFor();
  await page.getByText(`vouches for records up to ${ready.number}`).waitFor();
  check(await page.locator('tbody tr').count() === Math.min(50, ready.number), 'records are missing');
  check(await page.getByText('✓ anchored').count() === Math.min(50, ready.number), 'records up to the anchor do not count as anchored');
  // What comes after the anchor is led back to it.
  net.at('institution', 'doc', 'read', made.slip, '--purpose', 'settlement', '--key', accountKey('institution'));
  await go(page, `/audit?after=${ready.number}`);
  await page.getByText('not anchored yet').first().waitFor();
  check(await page.locator('main [data-trust="ok"]').count() >= 1, 'the newest record is not led to the head on the chain');
  await go(page, `/documents/${made.slip}/audit`);
  await page.getByRole('cell', { name: 'settlement' }).first().waitFor();
  check(await page.locator('main [data-trust="said"]').count() === 1 && await page.locator('main [data-trust="ok"]').count() === 0, 'a list that may lack records counts as verified');
  check(await page.getByText('clerk').count() >= 1, 'the account that read is not named');
  await page.getByLabel('Refusals only').check();
  const lied = async (lie, path) => {
    node.lie = lie;
    await go(page, `${path}${path.includes('?') ? '&' : '?'}turn=${lie}`);
    await page.waitForSelector('[data-lie]', { timeout: 15_000 }).catch(() => faults.push(`a false ${lie} was not found out on ${path}`));
    node.lie = 'none';
  };
  page.expectErrors = true;
  await lied('log', '/audit?after=0');
  await lied('log_record', '/audit?after=0');
  await lied('log_record', `/documents/${made.slip}/audit`);
  await lied('log_other', `/documents/${made.slip}/audit`);
  await lied('schema', `/documents/${made.slip}/audit`);
  await go(page, `/documents/${made.slip}`);
  const read = page.locator('[data-private]').getByRole('button', { name: /^Read \d/ });
  node.lie = 'reading';
  await read.click();
  await page.waitForSelector('[data-private] [data-lie]', { timeout: 15_000 }).catch(() => faults.push('a false value was not found out'));
  check(await page.locator('[data-field]').count() === 0, 'a false value is shown');
  node.lie = 'none';
  await go(page, '/documents');
  await go(page, `/documents/${made.slip}`);
  await read.click();
  node.lie = 'opening';
  await page.getByRole('button', { name: 'Check and save' }).click();
  await page.waitForSelector('[data-private] [data-lie]', { timeout: 15_000 }).catch(() => faults.push('another file was not found out'));
  node.lie = 'none';
  await context.close();

  const foreign = await openPage(browser, { locale: 'en' }, net.apiOf('institution'));
  await signIn(foreign.page, net.apiOf('institution'), join(net.folder, accountKey('regulator')));
  await go(foreign.page, `/documents/${made.slip}/audit`);
  await foreign.page.getByRole('cell', { name: 'settlement' }).first().waitFor();
  await go(foreign.page, '/audit');
  await foreign.page.locator('main [data-trust="ok"]').first().waitFor();
  await foreign.context.close();
  const nobody = await openPage(browser, { locale: 'en' }, net.apiOf('institution'));
  nobody.page.expectErrors = true;
  await signIn(nobody.page, net.apiOf('institution'), join(net.folder, accountKey('platform')));
  await go(nobody.page, `/documents/${made.slip}/audit`);
  await nobody.page.locator('[data-refused="not_entitled"]').waitFor({ timeout: 20_000 });
  await go(nobody.page, '/audit');
  await nobody.page.locator('[data-refused="not_watching"]').waitFor({ timeout: 20_000 });
  await nobody.context.close();
  say('access audit: chain, anchor, what follows it, seven lies, a regulator at a foreign node, nobody else');
}

/** Each page behind the sign-in, in both languages, themes and widths. */
async function looks(browser, net, docs, made) {
  const base = net.apiOf('institution');
  const file = join(net.folder, accountKey('institution'));
  for (const locale of ['zh-CN', 'en']) {
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [1440, 390]) {
        const { context, page } = await openPage(browser, { locale, colorScheme, viewport: { width, height: 900 } }, base);
        const place = (name) => `${name} ${locale} ${colorScheme} ${width}`;
        await signIn(page, base, file);
        await go(page, '/sign-in');
        await inspect(page, place('signed-in'));
        await go(page, `/documents/${made.slip}`);
        await inspect(page, place('private-asked'));
        await page.locator('[data-private] button.main').click();
        await page.locator('[data-field="income"]').waitFor();
        await inspect(page, place('private-read'));
        await go(page, `/documents/${docs.revoked}`);
        await page.locator('[data-private] input').fill('tax');
        await page.keyboard.press('Enter');
        await page.locator('[data-refused]').waitFor();
        await inspect(page, place('private-refused'));
        await go(page, '/audit?after=0');
        await inspect(page, place('audit'));
        await go(page, `/documents/${made.slip}/audit`);
        await inspect(page, place('readings'));
        await go(page, `/audit?after=999999`);
        await inspect(page, place('audit-empty'));
        await context.close();
      }
    }
  }
  say('pages behind the sign-in: 7 × 2 languages × 2 themes × 2 widths');
}

export async function members(browser, net, docs, made) {
  await signing(browser, net, made);
  await reading(browser, net, docs, made);
  await files(browser, net, made);
  await idle(browser, net, made);
  await audits(browser, net, docs, made);
  await looks(browser, net, docs, made);
}
