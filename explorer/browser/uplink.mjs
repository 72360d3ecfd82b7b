// Browser tests of the bulk uplink: a table in GBK with mistakes is mapped, checked, sent, broken off, taken up, mended and proven;
// each row is on the chain once, and nothing of it left the browser in plain.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { go, signIn } from './members.mjs';
import { accountKey, LIES } from './net.mjs';
import { check, inspect, openPage, say, settle } from './page.mjs';
import { workbook } from './workbook.mjs';

const COLUMNS = ['姓名', '证件类型', '证件号码', '手机号码', '居住地址', '开户行', '银行卡号', '核验方式', '核验结果', '核验时间'];
const GOOD = 60;
const TITLES = { mobile: 'Mobile number', bank_name: 'Bank' };

/** Characters in GBK, by what the browser's own decoder makes of each pair of bytes. */
const GBK = (() => {
  const table = new Map();
  const decoder = new TextDecoder('gbk');
  for (let high = 0x81; high <= 0xfe; high += 1) {
    for (let low = 0x40; low <= 0xfe; low += 1) {
      const bytes = Buffer.from([high, low]);
      const text = decoder.decode(bytes);
      if (text.length === 1 && text !== '\ufffd' && !table.has(text)) table.set(text, bytes);
    }
  }
  return (text) => Buffer.concat([...text].map((char) => (char.charCodeAt(0) < 0x80 ? Buffer.from(char) : table.get(char))));
})();

/** A number of an identity card that is none, with the digit that makes it look like one. */
function idNumber(n) {
  const digits = `99010119900307${String(n).padStart(3, '0')}`;
  const weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
  return digits + '10X98765432'[[...digits].reduce((sum, digit, i) => sum + Number(digit) * weights[i], 0) % 11];
}

const cells = (n, change = {}) => {
  const row = { 姓名: `测试甲${n}`, 证件类型: '居民身份证', 证件号码: idNumber(n), 手机号码: '15400000000', 居住地址: `某路${n}号`, 开户行: '某银行',
    银行卡号: `622202020011${String(n).padStart(4, '0')}`, 核验方式: '人脸比对', 核验结果: '通过', 核验时间: `2026/10/${1 + (n % 28)} 9:00`, ...change };
  return COLUMNS.map((name) => row[name]);
};
const line = (n, change) => cells(n, change).join(',');

/** Good rows, some of which may say something else, and one of each mistake. */
function table(folder, first, changes = {}) {
  const good = Array.from({ length: GOOD }, (_, i) => line(first + i, changes[i]));
  const bad = [
    line(first + 800, { 核验时间: '不详' }), line(first + 801, { 姓名: '' }), line(first + 802, { 核验结果: '待定' }),
    line(first), 'only,three,cells',
  ];
  const text = [COLUMNS.join(','), ...good.slice(0, 30), ...bad, ...good.slice(30)].join('\r\n');
  const path = join(folder, `人员${first}.csv`);
  writeFileSync(path, GBK(`${text}\r\n`));
  return path;
}

/** The same as a workbook behind a cover that is no table: days are days, and a mistake is a cell that no column is over. */
function book(folder, first) {
  // The first of October, as workbooks count days, at nine.
  const row = (n, change) => cells(n, { 核验时间: { day: 46_296.375 + (n % 28) }, ...change });
  const good = Array.from({ length: GOOD }, (_, i) => row(first + i));
  const bad = [
    row(first + 800, { 核验时间: '不详' }), row(first + 801, { 姓名: null }), row(first + 802, { 核验结果: '待定' }),
    row(first), [...row(first + 803), '备注'],
  ];
  const path = join(folder, `人员${first}.xlsx`);
  const sheet = [COLUMNS, ...good.slice(0, 30), ...bad, ...good.slice(30)];
  writeFileSync(path, workbook([['说明', [['人员名单'], ['制表', '某科']]], ['人员', sheet]]));
  return path;
}

/** From the file to a mapping that lacks nothing. */
async function map(page, file) {
  await go(page, '/uplink');
  await page.locator('.drop input[type=file]').setInputFiles(file);
  await page.locator('[data-field="id_number"]').waitFor({ timeout: 60_000 });
  check(await page.getByLabel('Becomes documents of').inputValue() === 'worker-identity', 'another schema was guessed');
  check(await page.locator('[data-field="id_number"] select').inputValue() === '证件号码', 'the column of the number was not guessed');
  check(await page.locator('[data-lacking]').count() === 1, 'nothing is said to be missing');
  for (const [word, code] of [['居民身份证', 'resident_id'], ['人脸比对', 'face'], ['通过', 'passed']]) await page.getByLabel(`Code for “${word}”`).fill(code);
  // A name that is too far from the schema's is left to the person.
  await page.locator('[data-field="bank_name"] .column select').selectOption('开户行');
  await page.locator('[data-field="result"]').getByLabel(/stands on the chain/).check();
  const worker = page.locator('[data-party="worker"]');
  await worker.locator('.column select').selectOption('证件号码');
  await worker.getByLabel(/register the person/).check();
  await page.locator('.column select').first().selectOption('证件号码');
}

async function checked(page, documents, faulty) {
  const lacking = page.locator('[data-lacking]');
  check(await lacking.count() === 0, `the mapping lacks something: ${await lacking.allInnerTexts()}`);
  await page.getByRole('button', { name: 'Check the whole file' }).click({ timeout: 5_000 });
  await page.locator('[data-documents]').waitFor({ timeout: 60_000 });
  const said = async (name) => Number(await page.locator('[data-documents]').getAttribute(name));
  check(await said('data-documents') === documents, `${await said('data-documents')} documents are announced, not ${documents}`);
  check(await said('data-faulty') === faulty, `${await said('data-faulty')} rows are at fault, not ${faulty}`);
}

/** Checks a file by the command's mapping and under its key of ids, in the state folder. */
async function checkedAsTheCommand(page, mapping, state, key) {
  await page.locator('input[accept=".toml"]').setInputFiles(mapping);
  await page.waitForFunction(() => !document.querySelector('[data-lacking]'));
  await page.locator('summary').filter({ hasText: 'Key of ids' }).click();
  await page.getByLabel('Take a file uplink.key').setInputFiles(join(state, 'uplink.key'));
  await page.getByText(key).first().waitFor();
  await checked(page, GOOD, 5);
}

/** How many documents leave is typed; where none does, there is nothing to type. */
async function confirmed(page, documents) {
  await page.getByRole('button', { name: 'Go on' }).click();
  const leaving = await figure(page, 'leaving');
  check(documents === undefined || leaving === documents, `${leaving} documents are to leave, not ${documents}`);
  documents = leaving;
  if (documents === 0) {
    await page.getByRole('button', { name: 'Finish' }).click();
    return;
  }
  const send = page.getByRole('button', { name: /^Sign and send/ });
  check(await send.isDisabled(), 'it can be sent without a confirmation');
  await page.getByLabel('Type the number').fill(String(documents - 1));
  check(await send.isDisabled(), 'another number confirms it');
  await page.getByLabel('Type the number').fill(String(documents));
  await page.keyboard.press('Enter');
}

const figure = async (page, name) => Number(await page.locator(`[data-${name}]`).last().getAttribute(`data-${name}`));
const over = (page, phase) => page.locator(`[data-phase="${phase}"]`).waitFor({ timeout: 180_000 });

/** All documents that the chain has. */
function onChain(net) {
  const all = [];
  for (let after = 0; ;) {
    const page = net.at('institution', 'query', 'documents', 'list', '--args', JSON.stringify({ after, limit: 50 })).value;
    all.push(...page);
    if (page.length < 50) return all;
    after = page.at(-1).number;
  }
}

async function whole(browser, net) {
  const base = net.apiOf('institution');
  const key = join(net.folder, accountKey('institution'));
  const { context, page } = await openPage(browser, { locale: 'en', viewport: { width: 1280, height: 900 }, acceptDownloads: true }, base);
  const sent = [];
  page.on('request', (request) => { const body = request.postDataBuffer(); if (body) sent.push(body); });
  // Rows that were under way at the break are refused as taken: what is there is found to be.
  page.expectErrors = true;
  const before = onChain(net).length;
  const file = table(net.folder, 1);

  await signIn(page, base, key);
  await map(page, file);
  const samples = await page.locator('main').innerText();
  check(!samples.includes(idNumber(1)) && samples.includes('某银行'), 'samples show what is sensitive, or nothing');
  await checked(page, GOOD, 5);
  for (const code of ['uplink.date', 'uplink.required', 'uplink.code', 'uplink.ragged']) check(await page.locator(`[data-fault="${code}"]`).count() === 1, `${code} is not told`);
  await page.getByText('line 32, column 10 (核验时间)').first().waitFor();

  // Broken off in the middle: the page is loaded anew, the key is gone, the same file is taken up.
  await confirmed(page, GOOD);
  await page.waitForFunction(() => Number(document.querySelector('[data-sent]')?.getAttribute('data-sent')) >= 5, null, { timeout: 30_000 });
  page.once('dialog', (dialog) => dialog.accept());
  await page.reload();
  await settle(page);
  const reached = onChain(net).length - before;
  check(reached >= 5 && reached < GOOD, `${reached} documents were there after the break: nothing was broken off`);
  await signIn(page, base, key);
  await go(page, '/uplink');
  await page.locator('[data-broke-off]').waitFor();
  await page.locator('.drop input[type=file]').setInputFiles(file);
  await page.locator('[data-field="id_number"]').waitFor({ timeout: 60_000 });
  check(await page.locator('[data-lacking]').count() === 0, 'the mapping was not kept over the reload');
  await checked(page, GOOD, 5);
  check(await figure(page, 'unchanged') >= reached && await figure(page, 'changed') === 0, 'what is on the chain is not found to be there');
  await confirmed(page);
  // Stopped by hand as soon as it is under way, and on.
  await page.waitForFunction(() => Number(document.querySelector('[data-already]')?.getAttribute('data-already')) >= 3, null, { timeout: 120_000 });
  await page.getByRole('button', { name: 'Stop' }).click();
  await over(page, 'stopped');
  check(await figure(page, 'sent') + await figure(page, 'already') < GOOD, 'nothing was left when it was stopped');
  await page.getByRole('button', { name: 'Go on' }).click();
  await over(page, 'ended');
  check(await figure(page, 'sent') + await figure(page, 'already') === GOOD, 'sent and there before are not all');
  check(await figure(page, 'already') >= 5, 'what was sent before the break was not found to be there');
  check(await figure(page, 'rejected') === 5, 'rejected rows are missing');
  check(onChain(net).length - before === GOOD, 'not each row is on the chain once');

  // The rejected rows, mended: the same number as a good row stays out.
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save rejected rows' }).click()]);
  check(download.suggestedFilename() === '人员1.csv.rejected.csv', `the file is called ${download.suggestedFilename()}`);
  const mended = join(net.folder, '人员1.csv.rejected.csv');
  await download.saveAs(mended);
  const rows = readFileSync(mended, 'utf8').trim().split('\r\n');
  check(rows.length === 6, `${rows.length - 1} rejected rows were saved`);
  const fixed = rows.filter((row) => !row.startsWith('only') && !row.includes('same number') && !row.includes('duplicate_number'))
    .map((row) => row.replace('不详', '2026/10/2 9:00').replace('待定', '通过').replace(/^,/, '测试乙,'));
  writeFileSync(mended, `${fixed.join('\r\n')}\r\n`);
  await page.getByRole('button', { name: 'Another file' }).click();
  await page.locator('.drop input[type=file]').setInputFiles(mended);
  await page.locator('[data-field="id_number"]').waitFor({ timeout: 60_000 });
  await checked(page, 3, 0);
  await confirmed(page, 3);
  await over(page, 'ended');
  check(await figure(page, 'sent') === 3, 'the mended rows were not sent');
  check(onChain(net).length - before === GOOD + 3, 'the mended rows are not on the chain once');

  // What a receipt names is proven on its own page, and opens to who may read it.
  const id = await page.locator('[data-receipt]').first().getAttribute('data-receipt');
  await go(page, `/documents/${id}`);
  await page.waitForFunction(() => document.querySelectorAll('[data-trust="ok"]').length >= 2, null, { timeout: 30_000 });
  await page.locator('[data-private] button.main').click();
  await page.locator('[data-field="bank_name"]').getByText('某银行').waitFor({ timeout: 30_000 });

  const plain = ['测试甲', '某银行', idNumber(1), '15400000000'];
  const leaks = sent.filter((body) => plain.some((text) => body.includes(Buffer.from(text)) || body.includes(GBK(text))));
  check(sent.length > GOOD && leaks.length === 0, `${leaks.length} requests held a value in plain`);
  await context.close();

  // The same file again, from a browser that knows nothing: everything is found to be there.
  const fresh = await openPage(browser, { locale: 'en', viewport: { width: 1280, height: 900 } }, base);
  fresh.page.expectErrors = true;
  await signIn(fresh.page, base, key);
  await map(fresh.page, file);
  await checked(fresh.page, GOOD, 5);
  await confirmed(fresh.page, 0);
  await over(fresh.page, 'ended');
  check(await figure(fresh.page, 'already') === GOOD && await figure(fresh.page, 'sent') === 0, 'a browser without a memory sent rows a second time');
  check(onChain(net).length - before === GOOD + 3, 'a row is on the chain twice');
  await fresh.context.close();
  say(`uplink: ${GOOD} rows of a GBK table, broken off and taken up, five mistakes, three mended, each once`);
}

/** A network that goes away and comes back, and a node whose proofs do not hold: what is final is so once. */
async function troubles(browser, net) {
  const base = net.apiOf('institution');
  const { context, page } = await openPage(browser, { locale: 'en', viewport: { width: 1280, height: 900 } }, base);
  page.expectErrors = true;
  const sent = (least) => page.waitForFunction((few) => Number(document.querySelector('[data-sent]')?.getAttribute('data-sent')) >= few, least, { timeout: 30_000 });
  const before = onChain(net).length;
  await signIn(page, base, join(net.folder, accountKey('institution')));
  await map(page, table(net.folder, 400));
  await checked(page, GOOD, 5);
  await confirmed(page, GOOD);
  await sent(3);
  await context.setOffline(true);
  await new Promise((done) => setTimeout(done, 3_000));
  check(await page.locator('[data-phase="running"]').count() === 1, 'it gave up while the network was away for three seconds');
  await context.setOffline(false);
  await over(page, 'ended');
  check(onChain(net).length - before === GOOD, 'not each row is on the chain once after the network was away');

  await page.getByRole('button', { name: 'Another file' }).click();
  await map(page, table(net.folder, 500));
  await checked(page, GOOD, 5);
  await page.route(/\/proof\?/, async (route) => {
    const response = await route.fetch();
    const value = await response.json();
    return route.fulfill({ response, json: value.proof ? LIES.proof('/proof', value) : value });
  });
  await confirmed(page, GOOD);
  await over(page, 'failed');
  await page.locator('[data-lie]').waitFor();
  check(await figure(page, 'sent') === 0, 'a document counts as sent whose receipt is not proven');
  await page.unroute(/\/proof\?/);
  await page.getByRole('button', { name: 'Go on' }).click();
  await over(page, 'ended');
  check(await figure(page, 'sent') + await figure(page, 'already') === GOOD && await page.locator('[data-lie]').count() === 0, 'it did not go on after false proofs');
  check(onChain(net).length - before === 2 * GOOD, 'not each row is on the chain once after false proofs');
  await context.close();
  say('uplink: a network that was away, and false proofs');
}

/** Who may not, and what is no table. */
async function refused(browser, net) {
  const base = net.apiOf('institution');
  const { context, page } = await openPage(browser, { locale: 'en' }, base);
  page.expectErrors = true;
  await signIn(page, base, join(net.folder, 'clerk.key'), 'a-password-for-tests-4711');
  await go(page, '/uplink');
  await page.locator('[data-refused="role_missing"]').waitFor();
  await signIn(page, base, join(net.folder, accountKey('regulator')));
  await go(page, '/uplink');
  await page.locator('[data-refused="foreign"]').waitFor();
  await signIn(page, base, join(net.folder, accountKey('institution')));
  await go(page, '/uplink');
  const file = (name, bytes) => { writeFileSync(join(net.folder, name), bytes); return join(net.folder, name); };
  for (const [name, bytes, code] of [['empty.csv', ' \n', 'uplink.empty'], ['twice.csv', 'a,a\n1,2\n', 'uplink.head'], ['archive.zip', 'PK\x03\x04 and more', 'uplink.format'], ['broken.xlsx', 'PK\x03\x04 and more', 'uplink.format'], ['old.xls', Buffer.from('d0cf11e0a1b11ae100', 'hex'), 'uplink.encrypted'], ['open.json', '[{"a": 1', 'uplink.format']]) {
    await page.locator('.drop input[type=file]').setInputFiles(file(name, bytes));
    await page.getByText(code).first().waitFor({ timeout: 30_000 }).catch(() => check(false, `${name}: ${code} is not told`));
  }
  await context.close();
  say('uplink: refused without the role and at a foreign node; files that are none are told');
}

/** The mapping as a file, as the command takes it; of a workbook with the sheet. */
function mappingFile(folder, sheet = '') {
  const path = join(folder, `people${sheet}.mapping.toml`);
  writeFileSync(path, `format = "vouch-uplink/1"
[[map]]
schema = "worker-identity"
${sheet ? `sheet = "${sheet}"\n` : ''}number = ["证件号码"]
offset = "+08:00"
public = ["result"]
[map.fields]
name = "姓名"
id_type = { from = "证件类型", codes = { "居民身份证" = "resident_id" } }
id_number = "证件号码"
mobile = "手机号码"
bank_name = "开户行"
bank_account = "银行卡号"
method = { from = "核验方式", codes = { "人脸比对" = "face" } }
result = { from = "核验结果", codes = { "通过" = "passed" } }
verified_at = "核验时间"
[map.parties]
worker = { person_from = "证件号码", register = true }
`);
  return path;
}

/** `vouch doc uplink` over a file; rows at fault are an exit code of their own. */
function uplinked(net, file, mapping, state, ...more) {
  try {
    return net.at('institution', 'doc', 'uplink', file, '--mapping', mapping, '--state', state, ...more, '--yes', '--key', accountKey('institution'));
  } catch (error) {
    return JSON.parse(String(error.stdout));
  }
}

/** A workbook is the same documents here as to the command, and the same rows are rejected in the same words. */
async function workbooks(browser, net) {
  const base = net.apiOf('institution');
  const [file, mapping, state] = [book(net.folder, 300), mappingFile(net.folder, '人员'), join(net.folder, 'workbook-state')];
  const sent = uplinked(net, file, mapping, state, '--new-key');
  check(sent.sent.sent === GOOD && sent.sent.rejected === 5, `of a workbook the command sent ${sent.sent.sent} and rejected ${sent.sent.rejected}`);
  const before = onChain(net).length;
  const { context, page } = await openPage(browser, { locale: 'en', viewport: { width: 1280, height: 900 }, acceptDownloads: true }, base);
  page.expectErrors = true;
  const bodies = [];
  page.on('request', (request) => { const body = request.postDataBuffer(); if (body) bodies.push(body); });
  await signIn(page, base, join(net.folder, accountKey('institution')));
  await map(page, file);
  const sheet = page.locator('select[data-sheet]');
  check(await sheet.inputValue() === '人员', 'the sheet with records was not looked into');
  await inspect(page, 'uplink-workbook');
  await sheet.selectOption('说明');
  await page.getByText('uplink.ragged').first().waitFor({ timeout: 30_000 });
  check(await sheet.inputValue() === '人员', 'a sheet without a record was taken');
  await checkedAsTheCommand(page, mapping, state, sent.key);
  await page.getByText('sheet 人员, cell J32 (核验时间)').first().waitFor();
  await confirmed(page, 0);
  await over(page, 'ended');
  check(await figure(page, 'already') === GOOD && await figure(page, 'sent') === 0, 'the page makes other documents of a workbook than the command');
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save rejected rows' }).click()]);
  check(download.suggestedFilename() === '人员300.xlsx.rejected.csv', `the file is called ${download.suggestedFilename()}`);
  const saved = join(net.folder, 'workbook-rejected.csv');
  await download.saveAs(saved);
  check(readFileSync(saved, 'utf8') === readFileSync(`${file}.rejected.csv`, 'utf8'), 'the page rejects other rows of a workbook than the command, or in other words');
  check(onChain(net).length === before, 'a row of a workbook that the command sent was sent again');

  const other = book(net.folder, 700);
  await another(page, other, mapping);
  await confirmed(page, GOOD);
  await over(page, 'ended');
  check(await figure(page, 'sent') === GOOD && onChain(net).length === before + GOOD, 'the page did not send each row of a workbook once');
  const again = uplinked(net, other, mapping, state);
  check(again.changes.unchanged === GOOD && again.sent.already === GOOD, `to the command ${again.changes.changed} rows of a workbook are another content than the page sent`);
  const leaks = bodies.filter((body) => ['测试甲', '15400000000', 'xl/worksheets'].some((text) => body.includes(Buffer.from(text))));
  check(bodies.length > GOOD && leaks.length === 0, `${leaks.length} requests held something of a workbook in plain`);
  await context.close();
  say('uplink: the command and the page make the same documents of a workbook');
}

/** What vouch doc uplink sent is found to be there with its key of ids: the page makes the same documents of the same rows. */
async function shared(browser, net) {
  const base = net.apiOf('institution');
  const [file, mapping, state] = [table(net.folder, 600), mappingFile(net.folder), join(net.folder, 'uplink-state')];
  const command = (...more) => uplinked(net, file, mapping, state, ...more);
  const sent = command('--new-key');
  check(sent.sent.sent === GOOD && sent.sent.rejected === 5, `the command sent ${sent.sent.sent} and rejected ${sent.sent.rejected}`);
  const before = onChain(net).length;
  const { context, page } = await openPage(browser, { locale: 'en', viewport: { width: 1280, height: 900 } }, base);
  page.expectErrors = true;
  await signIn(page, base, join(net.folder, accountKey('institution')));
  await go(page, '/uplink');
  await page.locator('.drop input[type=file]').setInputFiles(file);
  await page.locator('[data-field="id_number"]').waitFor({ timeout: 60_000 });
  await checkedAsTheCommand(page, mapping, state, sent.key);
  await confirmed(page, 0);
  await over(page, 'ended');
  check(await figure(page, 'already') === GOOD && await figure(page, 'sent') === 0, 'the page makes other documents of the rows than the command');
  check(onChain(net).length === before, 'a row that the command sent was sent again');
  // A version that the page makes is the one that the command would have made.
  table(net.folder, 600, { 7: { 手机号码: '15400000007' } });
  await another(page, file, mapping);
  await changedRows(page, [['mobile', 1]]);
  await page.getByRole('radio', { name: /^version/ }).check();
  await confirmed(page, 1);
  await over(page, 'ended');
  check(await figure(page, 'versions') === 1, 'the changed row became no version');
  const again = command();
  check(again.changes.unchanged === GOOD && again.changes.changed === 0 && again.sent.already === GOOD, `to the command ${again.changes.changed} rows are another content than the page sent`);
  await context.close();
  say('uplink: the command and the page make the same documents');
}

/** A file after another, by a mapping file; and its check. */
async function another(page, file, mapping) {
  const button = page.getByRole('button', { name: 'Another file' });
  if (await button.count()) await button.click();
  await page.locator('.drop input[type=file]').setInputFiles(file);
  await page.locator('[data-field="id_number"]').waitFor({ timeout: 60_000 });
  await page.locator('input[accept=".toml"]').setInputFiles(mapping);
  await page.waitForFunction(() => !document.querySelector('[data-lacking]'));
  await checked(page, GOOD, 5);
}

/** Which rows the check lists as changed: how many in which field, and no value. */
async function changedRows(page, wanted) {
  const rows = wanted.reduce((sum, [, times]) => sum + times, 0);
  check(await figure(page, 'changed') === rows, `${await figure(page, 'changed')} rows are said to have changed, not ${rows}`);
  const listed = await page.locator('[data-change]').allInnerTexts();
  for (const [field, times] of wanted) {
    const found = listed.filter((text) => text.includes(TITLES[field]));
    check(found.length === times, `${found.length} of the changed rows name ${field}: ${listed}`);
  }
  const said = await page.locator('main').innerText();
  check(!/1540000000[1-9]|99010119900307/.test(said), 'the list of changed rows shows a value');
}

/** Rows that changed since: listed by name and rejected, versions when somebody says so, unchanged the time after. */
async function versions(browser, net) {
  const base = net.apiOf('institution');
  const [mapping, key] = [mappingFile(net.folder), join(net.folder, accountKey('institution'))];
  const change = { 3: { 手机号码: '15400000003' }, 5: { 手机号码: '15400000005', 开户行: '另一银行' } };
  const open = async () => {
    const { context, page } = await openPage(browser, { locale: 'en', viewport: { width: 1280, height: 900 }, acceptDownloads: true }, base);
    page.expectErrors = true;
    await signIn(page, base, key);
    await go(page, '/uplink');
    return { context, page };
  };
  const { context, page } = await open();
  await another(page, table(net.folder, 100), mapping);
  check(await figure(page, 'new') === GOOD, 'rows are not new that are on no chain');
  await confirmed(page, GOOD);
  await over(page, 'ended');
  const before = onChain(net);

  await another(page, table(net.folder, 100, change), mapping);
  await changedRows(page, [['mobile', 2]]);
  check((await page.locator('[data-change]').allInnerTexts()).filter((text) => text.includes(TITLES.bank_name)).length === 1, 'a second field that changed is not named');
  check(await page.getByRole('radio', { name: /^reject/ }).isChecked(), 'changed rows are not rejected as long as nobody says otherwise');
  await confirmed(page, 0);
  await over(page, 'ended');
  check(await figure(page, 'rejected') === 7 && await figure(page, 'already') === GOOD - 2 && await figure(page, 'versions') === 0, 'changed rows were not rejected');
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Save rejected rows' }).click()]);
  const saved = join(net.folder, 'changed.csv');
  await download.saveAs(saved);
  const rejected = readFileSync(saved, 'utf8').split('\r\n').filter((row) => row.includes('uplink.changed'));
  check(rejected.length === 2 && rejected.every((row) => row.includes('in version 1: mobile')), `the file of rejected rows does not name what changed: ${rejected}`);
  check(JSON.stringify(onChain(net)) === JSON.stringify(before), 'something was sent of rejected rows');

  await another(page, table(net.folder, 100, change), mapping);
  await page.getByRole('radio', { name: /^version/ }).check();
  await confirmed(page, 2);
  await over(page, 'ended');
  check(await figure(page, 'sent') === 2 && await figure(page, 'versions') === 2 && await figure(page, 'already') === GOOD - 2, 'changed rows did not become versions');
  check(await page.locator('td[data-version="2"]').count() === 2, 'receipts do not say which version');
  const latest = new Map(before.map(({ document }) => [document.id, document.latest]));
  const second = onChain(net).filter(({ document }) => document.latest === 2 && latest.get(document.id) === 1);
  check(onChain(net).length === before.length && second.length === 2, `${second.length} documents have a second version`);
  await another(page, table(net.folder, 100, change), mapping);
  check(await figure(page, 'unchanged') === GOOD, 'what became a version is still another content');
  await context.close();

  // A browser that knows nothing: the root says what is there, the own node what changed, an older root that it said so before.
  const fresh = await open();
  await another(fresh.page, table(net.folder, 100, { ...change, 3: { 手机号码: '15400000004' } }), mapping);
  await changedRows(fresh.page, [['mobile', 1]]);
  check(await figure(fresh.page, 'unchanged') === GOOD - 1, 'a browser without a memory does not find versions by their root');
  await fresh.page.getByRole('radio', { name: /^skip/ }).check();
  await confirmed(fresh.page, 0);
  await over(fresh.page, 'ended');
  check(await figure(fresh.page, 'skipped') === 1 && await figure(fresh.page, 'rejected') === 5, 'a changed row was not passed over');
  await another(fresh.page, table(net.folder, 100), mapping);
  check(await figure(fresh.page, 'changed') === 2 && await fresh.page.getByText('(= version 1)').count() === 2, 'an older export is not told');
  await fresh.context.close();
  check(onChain(net).every(({ document }) => document.latest <= 2), 'a row became a version without being told to');
  say('uplink: changed rows listed, rejected, made versions once, unchanged after; without a memory too');
}

/** Each step in both languages, themes and widths. */
async function looks(browser, net) {
  const base = net.apiOf('institution');
  const mapping = mappingFile(net.folder);
  let turn = 0;
  for (const locale of ['zh-CN', 'en']) {
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [1440, 390]) {
        const { context, page } = await openPage(browser, { locale, colorScheme, viewport: { width, height: 900 } }, base);
        // The same rows again are refused as taken where this browser has no memory of them.
        page.expectErrors = true;
        const place = (name) => `${name} ${locale} ${colorScheme} ${width}`;
        await signIn(page, base, join(net.folder, accountKey('institution')));
        await go(page, '/uplink');
        await inspect(page, place('uplink-source'));
        // From the second turn on two rows are another content than on the chain.
        const mobile = `154000001${String(turn).padStart(2, '0')}`;
        const file = table(net.folder, 200, turn ? { 1: { 手机号码: mobile }, 2: { 手机号码: mobile, 开户行: `银行${turn}` } } : {});
        await page.locator('.drop input[type=file]').setInputFiles(file);
        await page.locator('[data-field="id_number"]').waitFor({ timeout: 60_000 });
        await inspect(page, place('uplink-mapping'));
        await page.locator('input[accept=".toml"]').setInputFiles(mapping);
        await page.waitForFunction(() => !document.querySelector('[data-lacking]'));
        await page.locator('button.main').click();
        await page.locator('[data-documents]').waitFor({ timeout: 60_000 });
        check(await figure(page, 'changed') === (turn ? 2 : 0), `${place('uplink-check')}: ${await figure(page, 'changed')} rows are said to have changed`);
        if (turn) {
          await page.locator('input[type=radio][value=version]').check();
          const list = await page.locator('[data-change]').first().evaluate((row) => { const box = row.closest('.scroll'); return box.scrollWidth - box.clientWidth; });
          check(list <= 0, `${place('uplink-check')}: what changed is reached by scrolling only`);
        }
        await inspect(page, place('uplink-check'));
        await page.locator('main button.main').click();
        await page.locator('form input[inputmode=numeric]').fill(String(turn ? 2 : GOOD));
        await inspect(page, place('uplink-confirm'));
        await page.keyboard.press('Enter');
        await over(page, 'ended');
        await inspect(page, place('uplink-run'));
        await context.close();
        turn += 1;
      }
    }
  }
  say('uplink: 5 steps × 2 languages × 2 themes × 2 widths');
}

export async function uplinks(browser, net) {
  await refused(browser, net);
  await whole(browser, net);
  await troubles(browser, net);
  await versions(browser, net);
  await shared(browser, net);
  await workbooks(browser, net);
  await looks(browser, net);
}
