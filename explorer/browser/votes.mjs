// Browser tests of decisions: administrators propose, vote and take back in the browser, each with a key of their own; an upgrade is
// carried out and proven; ballots that come too late are refused with their code; a page over each state.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { nextRelease } from './journeys.mjs';
import { go, lying, signIn } from './members.mjs';
import { accountKey } from './net.mjs';
import { check, counts, inspect, openPage, say, settle } from './page.mjs';

const admin = (net, member) => join(net.folder, `admins/${member}.key`);
const vote = (page) => page.locator('[data-vote]');
const approve = (page) => vote(page).getByRole('button', { name: '✓ Approve' });
const reject = (page) => vote(page).getByRole('button', { name: '✕ Reject' });
const sign = (page) => page.getByRole('button', { name: /^Sign: |^Sign and make/ });
const final = (page) => page.locator('[data-final]').waitFor({ timeout: 60_000 });

/** Signs in as an administrator: the node says that it knows no account of this key, and the browser looks further. */
async function enter(page, base, file, to = '/members') {
  const before = page.expectErrors;
  page.expectErrors = true;
  await signIn(page, base, file, '', to);
  page.expectErrors = before;
}

/** Until a member's node has a proposal too. */
async function known(net, member, id) {
  for (let turn = 0; turn < 100; turn += 1) {
    try {
      net.at(member, 'gov', 'show', String(id));
      return;
    } catch {
      await new Promise((done) => { setTimeout(done, 100); });
    }
  }
}

/** A page at a member's node where an administrator is signed in. */
async function at(browser, net, member, file, path) {
  const base = net.apiOf(member);
  const { context, page } = await openPage(browser, { locale: 'en', viewport: { width: 1280, height: 900 } }, base);
  await enter(page, base, file);
  const [, id] = /^\/governance\/(\d+)$/.exec(path) ?? [];
  if (id) await known(net, member, id);
  await go(page, path);
  return { context, page };
}

/** What stands in the confirmation, and that a key alone does not get past it. */
async function confirmed(page, wanted) {
  const text = await page.locator('[data-confirm]').innerText();
  for (const part of wanted) check(text.includes(part), `the confirmation does not name ${part}: ${text}`);
  check(await page.locator('[data-final]').count() === 0, 'something was sent before it was confirmed');
}

/** From the uploaded code to the one that runs: proposed and approved in three browsers, at three nodes. */
async function upgrade(browser, net, docs) {
  const before = net.run('contract', 'show', 'notary');
  docs.bytes('notary-3.wasm', nextRelease('third'));
  net.run('contract', 'upload', 'notary-3.wasm', '--key', 'admins/platform.key');
  const { code_hash: code } = net.run('contract', 'packages').find((one) => !one.used);

  const first = await at(browser, net, 'platform', admin(net, 'platform'), '/governance');
  check(await first.page.locator('header .who').innerText() === 'Admin of platform', 'the administrator is not named');
  const sent = [];
  first.page.on('request', (request) => sent.push(`${request.url()} ${JSON.stringify(request.headers())} ${request.postData() ?? ''}`));
  await first.page.getByRole('link', { name: 'New proposal' }).click();
  await settle(first.page);
  await first.page.getByRole('button', { name: 'Go on' }).click();
  await first.page.getByText('Not right yet: contract, code').waitFor();
  await first.page.getByLabel('Name of the contract').fill('notary');
  await first.page.getByLabel('Uploaded code').selectOption(code);
  await first.page.getByLabel('Title').fill('Notary, third release');
  await first.page.keyboard.press('Enter');
  await confirmed(first.page, ['Notary, third release', 'Activate code under a name', 'notary', code.slice(0, 8), 'Approve', 'platform']);
  await sign(first.page).press('Enter');
  await final(first.page);
  const id = await first.page.locator('[data-made]').getAttribute('data-made');
  const secret = JSON.parse(readFileSync(admin(net, 'platform'), 'utf8'));
  const hidden = JSON.stringify(secret).match(/[0-9a-f]{64,}/g)?.filter((text) => !secret.public_key.includes(text)) ?? [];
  check(hidden.length > 0 && !sent.some((text) => hidden.some((one) => text.includes(one))), 'something of the key left the browser');
  await first.page.locator('[data-made]').click();
  await first.page.waitForURL(new RegExp(`/governance/${id}$`));
  await first.page.locator('[data-mine="true"]').waitFor();
  await first.page.locator('[data-dry-run="ok"]').waitFor({ timeout: 30_000 });
  await first.page.getByText('would notice no difference').waitFor();
  check(await approve(first.page).isDisabled() && await reject(first.page).isEnabled(), 'the same ballot is offered again, or the other is not');

  const second = await at(browser, net, 'institution', admin(net, 'institution'), `/governance/${id}`);
  await counts(second.page.locator('[data-side="for"]'), 1, 'whoever proposes votes for it');
  await approve(second.page).click();
  await confirmed(second.page, [`№ ${id}`, 'Notary, third release', 'contracts', 'Activate code under a name', 'notary', 'Approve', 'institution', '2 of 3 needed approve']);
  await second.page.getByRole('button', { name: 'Back', exact: true }).click();
  check(await second.page.evaluate(() => document.activeElement?.hasAttribute('data-vote')), 'after going back the place is lost');
  await approve(second.page).press('Enter');
  await sign(second.page).press('Enter');
  await final(second.page);
  await second.page.locator('[data-member="institution"][data-side="for"]').waitFor();
  await second.page.locator('[data-proposal="open"] [data-trust="ok"]').waitFor();
  check(await second.page.evaluate(() => document.activeElement?.hasAttribute('data-phase')), 'what came of it is not where the keyboard is');

  // Two pages of the third member: the first decides, the second comes too late.
  const third = await at(browser, net, 'enterprise', admin(net, 'enterprise'), `/governance/${id}`);
  const late = await at(browser, net, 'enterprise', admin(net, 'enterprise'), `/governance/${id}`);
  await approve(late.page).click();
  await approve(third.page).click();
  await third.page.locator('[data-outcome="passes"]').waitFor();
  await sign(third.page).click();
  await final(third.page);
  await third.page.locator('[data-proposal="executed"] [data-trust="ok"]').waitFor();
  await third.page.getByText('carried out').first().waitFor();
  await counts(third.page.locator('[data-ballots] li'), 3, 'three ballots were cast');
  await inspect(third.page, 'vote-carried-out en light 1280');
  await sign(late.page).click();
  await late.page.locator('[data-refusal="system.proposal_closed"]').waitFor({ timeout: 60_000 });
  await late.page.getByText('The proposal is no longer open').waitFor();
  await late.page.getByText('a new decision takes a new proposal').waitFor();
  await late.page.locator('[data-proposal="executed"]').waitFor();
  await inspect(late.page, 'vote-too-late en light 1280');

  const after = net.run('contract', 'show', 'notary');
  check(after.code_hash === code && after.code_hash !== before.code_hash, 'the code that runs is not the one that was voted for');
  await go(third.page, '/contracts/notary');
  await third.page.getByText(after.code_hash).waitFor();
  for (const { context } of [first, second, third, late]) await context.close();
  say('an upgrade proposed and approved by three members in three browsers, carried out and proven; a ballot that came too late');
}

/** A member of two administrators, both of whom it takes: in the consortium's affairs and in its own. */
async function several(browser, net) {
  const other = net.at('institution', 'key', 'generate', join(net.folder, 'second.key'), '--unencrypted');
  const [key] = net.run('member', 'show', 'institution').admin_keys;
  const policy = (threshold, keys, by) => net.at('institution', 'member', 'set-admins', 'institution', ...keys.flatMap((one) => ['--admin-key', one]), '--admin-threshold', String(threshold), '--key', by);
  policy(2, [key, other.public_key], 'admins/institution.key');
  const { id } = net.run('params', 'set', 'idle_interval_ms=4500', '--key', 'admins/platform.key').proposal;

  const first = await at(browser, net, 'institution', admin(net, 'institution'), `/governance/${id}`);
  await first.page.getByText('2 of its 2 administrators').waitFor();
  await first.page.getByRole('cell', { name: 'idle_interval_ms' }).waitFor();
  await approve(first.page).click();
  await first.page.getByText('counts once enough of its administrators').waitFor();
  await sign(first.page).click();
  await final(first.page);
  await first.page.locator('[data-member="institution"][data-side="awaited"]').waitFor();
  const second = await at(browser, net, 'regulator', join(net.folder, 'second.key'), `/governance/${id}`);
  await reject(second.page).click();
  await sign(second.page).click();
  await final(second.page);
  await second.page.locator('[data-member="institution"][data-side="awaited"]').waitFor();
  // As long as it is open the last ballot counts.
  await second.page.getByRole('button', { name: 'Back to the vote' }).click();
  await approve(second.page).click();
  await sign(second.page).click();
  await final(second.page);
  await second.page.locator('[data-member="institution"][data-side="for"]').waitFor();

  const roles = net.at('institution', 'user', 'roles', net.at('institution', 'user', 'list', '--member', 'institution').find((one) => one.name === 'porter').account,
    '--role', 'operator', '--propose', '--key', 'admins/institution.key').proposal;
  await known(net, 'regulator', roles.id);
  await go(second.page, `/governance/${roles.id}`);
  await approve(second.page).click();
  await second.page.locator('[data-outcome="passes"]').waitFor();
  await confirmed(second.page, [`№ ${roles.id}`, 'member', "Change an account's roles", 'operator', 'institution']);
  await sign(second.page).click();
  await final(second.page);
  await second.page.locator('[data-proposal="executed"]').waitFor();

  // Taken back by who made it.
  const maker = await at(browser, net, 'platform', admin(net, 'platform'), `/governance/${id}`);
  await vote(maker.page).getByRole('button', { name: 'Take the proposal back' }).click();
  await confirmed(maker.page, [`№ ${id}`, 'idle_interval_ms = 4500', 'Take the proposal back', 'platform']);
  await sign(maker.page).click();
  await final(maker.page);
  await maker.page.locator('[data-proposal="withdrawn"]').waitFor();
  policy(1, [key], `admins/institution.key,${join(net.folder, 'second.key')}`);
  for (const { context } of [first, second, maker]) await context.close();
  say('two administrators of a member, in the consortium’s affairs and in its own; a ballot changed; a proposal taken back');
}

const text = (value) => {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(value)));
  return Buffer.concat([length, Buffer.from(value)]);
};

/** A proposal whose deadline passes while the tests run; the command line knows hours only. */
function brief(net, seconds) {
  const one = Buffer.alloc(8);
  one.writeBigUInt64LE(1n);
  const encoded = Buffer.concat([one, text('idle_interval_ms'), text('4600')]).toString('hex');
  const content = { kind: 'parameters', member: null, title: 'A short deadline', deadline_ms: Date.now() + 1000 * seconds, actions: [{ contract: 'system', method: 'set_parameters', arguments: encoded }] };
  return net.run('contract', 'call', 'system', 'propose', '--key', 'admins/platform.key', '--args', JSON.stringify(content)).output_value.proposal;
}

/** What goes wrong on the way: a node that is gone, behind, or lies; a transaction of which nothing is heard. */
async function troubles(browser, net, open) {
  const base = net.apiOf('enterprise');
  const { context, page } = await at(browser, net, 'enterprise', admin(net, 'enterprise'), `/governance/${open}`);
  page.expectErrors = true;
  await reject(page).click();
  // It is sent, and then nothing is heard of it.
  await page.route('**/api/v1/transactions/*', (route) => route.abort());
  await sign(page).click();
  await page.locator('[data-phase="lost"]').waitFor({ timeout: 90_000 });
  const sent = [];
  page.on('request', (request) => { if (request.method() === 'POST' && /transactions$/.test(request.url())) sent.push(request.url()); });
  await inspect(page, 'vote-lost en light 1280');
  await page.unroute('**/api/v1/transactions/*');
  await page.getByRole('button', { name: 'Look again' }).click();
  await final(page);
  check(sent.length === 0, 'what the node has was sent again');
  await page.locator('[data-mine="false"]').waitFor();
  await page.getByRole('button', { name: 'Back to the vote' }).click();

  // Nothing leaves while the node does not answer.
  await approve(page).click();
  await page.route('**/api/v1/**', (route) => route.abort());
  await page.locator('[data-blocked="offline"]').waitFor({ timeout: 30_000 });
  check(await sign(page).isDisabled(), 'something can be signed while the node is gone');
  await inspect(page, 'vote-offline en light 1280');
  await page.unroute('**/api/v1/**');
  await page.locator('[data-blocked="offline"]').waitFor({ state: 'detached', timeout: 30_000 });
  await page.getByRole('button', { name: 'Back', exact: true }).click();

  // A node that is behind says so, and nothing is signed at it.
  await page.route('**/api/v1/status', async (route) => {
    const response = await route.fetch();
    const status = await response.json();
    await route.fulfill({ response, json: { ...status, condition: { ...status.condition, state: 'syncing', reason_en: 'The node catches up', reason_zh: '节点追赶中', mend_en: 'Wait', mend_zh: '请等待' } } });
  });
  await page.locator('[data-blocked="behind"]').waitFor({ timeout: 30_000 });
  check(await vote(page).locator('button.main').isDisabled(), 'a node that is behind takes ballots');
  await inspect(page, 'vote-behind en light 1280');
  await page.unroute('**/api/v1/status');
  await context.close();

  for (const lie of ['proposal_title', 'proposal_action', 'proposal_ballot']) {
    const liar = await openPage(browser, { locale: 'en' }, base);
    const node = await lying(liar.page);
    await enter(liar.page, base, admin(net, 'enterprise'));
    node.lie = lie;
    await go(liar.page, `/governance/${open}`);
    await liar.page.locator('[data-blocked="lie"]').waitFor({ timeout: 20_000 });
    check(await liar.page.locator('[data-lie]').count() > 0, `a false ${lie} was not found out`);
    check(await vote(liar.page).locator('button.main').isDisabled(), `a false ${lie} can be voted on`);
    await liar.context.close();
  }
  say('a transaction of which nothing was heard, a node that is gone, behind or lies: nothing is signed twice or on its word');
}

/** Each state of the pages in both languages, themes and widths. */
async function looks(browser, net, made, { open, own, expired }) {
  const base = net.apiOf('platform');
  for (const language of ['en', 'zh-CN']) {
    for (const theme of ['light', 'dark']) {
      for (const width of [1440, 390]) {
        const options = { locale: language, colorScheme: theme, viewport: { width, height: width > 500 ? 900 : 844 } };
        const place = (name) => `${name} ${language} ${theme} ${width}`;
        const { context, page } = await openPage(browser, options, base);
        await page.goto(`${base}/governance/${open}`);
        await page.locator('[data-vote="signed_out"]').waitFor();
        await settle(page);
        await inspect(page, place('vote-signed-out'));
        await signIn(page, base, join(net.folder, accountKey('platform')));
        await go(page, `/governance/${open}`);
        await page.locator('[data-refused="no_admin"]').waitFor();
        await inspect(page, place('vote-no-administrator'));
        await go(page, '/governance/new');
        await page.locator('[data-refused="no_admin"]').waitFor();
        await inspect(page, place('propose-no-administrator'));
        await enter(page, base, admin(net, 'regulator'), `/governance/${open}`);
        await page.locator('[data-vote="may"]').waitFor();
        await page.locator('[data-dry-run="ok"]').waitFor();
        await inspect(page, place('vote-open'));
        const cut = await page.locator('[data-action] .table').evaluateAll((all) => all.filter((one) => one.scrollWidth > one.clientWidth).length);
        check(cut === 0, `${place('vote-open')}: parameters are reached by scrolling only`);
        await vote(page).locator('button.main').click();
        await page.locator('[data-confirm]').waitFor();
        await inspect(page, place('vote-confirm'));
        await go(page, `/governance/${own}`);
        await page.locator('[data-refused="other_member"]').waitFor();
        await inspect(page, place('vote-other-member'));
        await go(page, `/governance/${expired}`);
        await page.locator('[data-vote="expired"]').waitFor();
        await settle(page);
        await inspect(page, place('vote-expired'));
        await go(page, '/sign-in');
        await inspect(page, place('signed-in-administrator'));
        await go(page, `/documents/${made.slip}`);
        await page.locator('[data-refused="administrator"]').waitFor();
        await inspect(page, place('private-administrator'));
        await go(page, '/governance/new');
        await page.locator('[data-propose] button.main').click();
        await page.locator('[data-propose] [role=alert]').waitFor();
        await inspect(page, place('propose-lacking'));
        await page.locator('[data-propose] select').first().selectOption('unfreeze_contract');
        await page.locator('[data-no-contract]').waitFor();
        await inspect(page, place('propose-nothing-frozen'));
        await page.locator('[data-propose] select').first().selectOption('set_parameters');
        await page.locator('[data-propose] select').nth(1).selectOption('idle_interval_ms');
        await page.locator('[data-propose] input').first().fill('4700');
        await page.locator('[data-propose] button.main').click();
        await page.locator('[data-confirm]').waitFor();
        await inspect(page, place('propose-confirm'));
        await enter(page, base, admin(net, 'platform'), `/governance/${open}`);
        await page.locator('[data-mine="true"]').waitFor();
        await inspect(page, place('vote-voted'));
        await page.route(/\/api\/v1\/proposals\?/, (route) => route.fulfill({ json: { head: 1, items: [], next: null } }));
        await go(page, '/governance');
        await page.locator('p.panel.dim').waitFor();
        await inspect(page, place('governance-empty'));
        await context.close();
      }
    }
  }
  say('pages of decisions: 14 states × 2 languages × 2 themes × 2 widths');
}

export async function votes(browser, net, docs, made) {
  const short = brief(net, 8);
  await upgrade(browser, net, docs);
  await several(browser, net);
  const open = net.run('params', 'set', 'idle_interval_ms=4800', '--key', 'admins/platform.key').proposal.id;
  const porter = net.at('institution', 'user', 'list', '--member', 'institution').find((one) => one.name === 'porter').account;
  const second = net.at('institution', 'key', 'generate', join(net.folder, 'third.key'), '--unencrypted');
  const [key] = net.run('member', 'show', 'institution').admin_keys;
  const policy = (threshold, keys, by) => net.at('institution', 'member', 'set-admins', 'institution', ...keys.flatMap((one) => ['--admin-key', one]), '--admin-threshold', String(threshold), '--key', by);
  policy(2, [key, second.public_key], 'admins/institution.key');
  const own = net.at('institution', 'user', 'roles', porter, '--role', 'operator', '--propose', '--key', 'admins/institution.key').proposal.id;
  await troubles(browser, net, open);
  await looks(browser, net, made, { open, own, expired: short });
  net.at('institution', 'gov', 'withdraw', String(own), '--key', 'admins/institution.key');
  policy(1, [key], `admins/institution.key,${join(net.folder, 'third.key')}`);
  net.run('gov', 'withdraw', String(open), '--key', 'admins/platform.key');
}
