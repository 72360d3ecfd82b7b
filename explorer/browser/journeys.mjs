// Whole ways through the pages, as somebody goes them: from an invoice number to who signed, who paid, who read; an upgrade by vote.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PASSWORD, signIn } from './members.mjs';
import { accountKey, MEMBERS } from './net.mjs';
import { check, counts, inspect, openPage, say, settle } from './page.mjs';

const JOURNEY_MS_MAX = 60_000;

/** A regulator at their own node, then at the issuer's; measured from the first page on, with both sign-ins. */
async function supervision(browser, net, docs, made) {
  net.at('institution', 'doc', 'read', made.slip, '--purpose', 'settlement', '--key', accountKey('institution'));
  const base = net.apiOf('regulator');
  const { context, page } = await openPage(browser, { locale: 'en', viewport: { width: 1280, height: 900 } }, base);
  const began = Date.now();
  await signIn(page, base, made.inspector, PASSWORD, '/documents');
  await page.locator('#search').fill('FP-2026-0101');
  await page.locator('#search').press('Enter');
  await page.waitForURL(`${base}/documents/${made.invoice}`);
  await page.locator('main [data-trust="ok"]').first().waitFor();

  // What the invoice stands on: who paid whom, how much, and that it was paid.
  await page.getByRole('listitem').filter({ hasText: 'Shifts:' }).getByRole('link').click();
  await page.waitForURL(new RegExp(`/documents/${made.slip}\\?version=1$`));
  await page.getByText('Enterprise: enterprise').waitFor();
  const panel = page.locator('[data-private]');
  await panel.locator('select').selectOption('supervision');
  await panel.getByRole('button', { name: /^Read \d/ }).click();
  await panel.locator('[data-field="income"]').getByText('1280.50').waitFor();
  check(/yes/.test(await panel.locator('[data-field="paid"]').innerText()), 'whether it was paid is not shown');

  // And that on the contract that was signed.
  await page.getByRole('listitem').filter({ hasText: 'Contract:' }).getByRole('link').click();
  await page.waitForURL(new RegExp(`/documents/${docs.contract}\\?version=1$`));
  await page.getByRole('listitem').filter({ hasText: 'Enterprise: enterprise' }).getByText('signed').waitFor();

  // Who has read it: here, and at the issuer's node.
  await page.goBack();
  await page.getByRole('link', { name: 'Who has read it' }).first().click();
  await page.getByRole('row').filter({ hasText: 'inspector' }).getByText('supervision').waitFor();
  await context.close();
  const issuer = net.apiOf('institution');
  const there = await openPage(browser, { locale: 'en', viewport: { width: 1280, height: 900 } }, issuer);
  await signIn(there.page, issuer, made.inspector, PASSWORD, `/documents/${made.slip}/audit`);
  await there.page.getByRole('row').filter({ hasText: 'institution' }).getByText('settlement').first().waitFor();
  const took = Date.now() - began;
  await inspect(there.page, 'readings-regulator en light 1280');
  await there.context.close();
  check(took < JOURNEY_MS_MAX, `from the invoice number to who read took ${took} ms`);
  say(`a regulator, from an invoice number to who paid, who signed and who read at two nodes: ${(took / 1000).toFixed(1)} s`);
}

/** The notary with a note in it, which changes its hash and nothing else. */
export function nextRelease(called) {
  const [name, note] = ['release', called].map((text) => Buffer.from(text));
  const section = Buffer.concat([Buffer.from([0, 1 + name.length + note.length, name.length]), name, note]);
  return Buffer.concat([readFileSync(join(process.env.VOUCH_CONTRACTS, 'notary.wasm')), section]);
}

/** Administrators decide with their own keys; the explorer shows each step, and what the chain runs in the end. */
async function upgrade(browser, net, docs) {
  const before = net.run('contract', 'show', 'notary');
  docs.bytes('notary-2.wasm', nextRelease('second'));
  const { context, page } = await openPage(browser, { locale: 'en', viewport: { width: 1280, height: 900 } }, net.api);
  await page.goto(`${net.api}/contracts/notary`);
  await page.getByText(before.code_hash).waitFor();
  const said = async () => {
    await page.getByRole('button', { name: 'Ask count', exact: true }).click();
    return page.getByRole('status').filter({ hasText: 'said by the node' }).innerText();
  };
  const counted = (await said()).split('\n').at(-1);

  net.run('contract', 'deploy', 'notary', '--code', 'notary-2.wasm', '--title', 'Notary, second release', '--key', 'admins/platform.key');
  await page.getByRole('link', { name: 'Governance' }).click();
  await page.getByRole('link', { name: 'Notary, second release' }).click();
  await page.waitForURL(/\/governance\/\d+$/);
  await settle(page);
  const id = page.url().split('/').at(-1);
  const { tally } = net.run('gov', 'show', id);
  const ballots = page.locator('[data-ballots] li');
  await counts(ballots, 1, 'whoever proposes votes for it');
  for (const member of MEMBERS.slice(1, tally.needed)) {
    const shown = await ballots.count();
    net.at(member, 'gov', 'vote', id, '--approve', '--key', `admins/${member}.key`);
    await page.getByRole('button', { name: /Ballots came/ }).click();
    await counts(ballots, shown + 1, 'a ballot is not shown');
  }
  await page.locator('[data-proposal="executed"] [data-trust="ok"]').waitFor();
  await inspect(page, 'proposal-carried-out en light 1280');

  const after = net.run('contract', 'show', 'notary');
  check(after.code_hash !== before.code_hash, 'the upgrade changed no code');
  await page.getByRole('link', { name: 'Contracts' }).click();
  await page.getByRole('main').getByRole('link', { name: 'notary', exact: true }).click();
  await page.getByText(after.code_hash).waitFor();
  await page.locator('dd').filter({ hasText: before.code_hash.slice(0, 8) }).waitFor();
  check((await said()).split('\n').at(-1) === counted, 'the contract lost what it held');
  await context.close();
  say(`an upgrade by ${tally.needed} ballots, seen from the proposal to the code that runs`);
}

export async function journeys(browser, net, docs, made) {
  await supervision(browser, net, docs, made);
  await upgrade(browser, net, docs);
}
