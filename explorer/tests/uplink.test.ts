// @vitest-environment node
import { existsSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { ApiProblem } from '../src/lib/api';
import { Failed } from '../src/lib/failed';
import { clean, missing, whole } from '../src/lib/uplink/mapping';
import { chinesePlace } from '../src/lib/uplink/place';
import { CHINESE, reasonText } from '../src/lib/uplink/reason';
import { verdictOf } from '../src/lib/uplink/verdict';
import { workbook } from '../browser/workbook.mjs';

const problem = (code: string, status: number) => new ApiProblem({ code, status, title: '', detail: '' });

describe('mappings', () => {
  it('are sent without what is empty, and nothing else is lost', () => {
    const mapping = whole({ schema: 'a', number: ['no', ''], fields: { b: 'B', c: { from: '' }, d: { value: '', from: 'x' }, e: { from: ['x', 'y'], join: ' ', shift: 0, codes: { 是: '' } }, f: { from: 'F', thousands: '.', shift: -2 } }, sheet: '',
      parties: { worker: { person_from: '' }, client: { member_from: 'M', codes: { 甲: 'enterprise' } } }, references: { of: { schema: 's', from: '' }, on: { schema: 's', from: 'N', split: ';' } } });
    expect(clean(mapping)).toEqual({ schema: 'a', number: ['no'], public: [], sign: [], fields: { b: { from: 'B' }, e: { from: ['x', 'y'], join: ' ' }, f: { from: 'F', thousands: '.', shift: -2 } },
      parties: { client: { member_from: 'M', codes: { 甲: 'enterprise' } } }, references: { on: { schema: 's', from: 'N', split: ';' } } });
  });
  it('say what they lack', () => {
    const definition = { fields: [{ name: 'b', required: true }, { name: 'c', required: false }], parties: [{ role: 'worker', min: 1 }], references: [{ name: 'on', min: 1 }] };
    expect(missing(whole({ schema: 'a' }), definition)).toEqual(['number', 'b', 'worker', 'on']);
    const full = whole({ schema: 'a', number: ['no'], fields: { b: { from: 'B', codes: { 是: '' } } }, parties: { worker: { person_from: 'id' } }, references: { on: { schema: 's', from: 'N' } } });
    expect(missing(full, definition)).toEqual([]);
    expect(clean(full).fields.b).toEqual({ from: 'B' });
  });
});

describe('places', () => {
  it('are said in Chinese too', () => {
    expect(chinesePlace('人员.csv, line 32, column 10 (核验时间)')).toBe('人员.csv，第 32 行，第 10 列 (核验时间)');
    expect(chinesePlace('a.xlsx, sheet 一, cell B7 (x)')).toBe('a.xlsx，工作表 一，单元格 B7 (x)');
  });
});

describe('reasons', () => {
  const source = readFileSync(new URL('../../sdk/uplink/src/reason.rs', import.meta.url), 'utf8');
  const known = new Map([...source.matchAll(/^ {4}[A-Z_]+ "([a-z._]+)"\s+"((?:[^"\\]|\\.)*)";$/gm)].map(([, code, english]) => [code!, english!]));
  const places = (template: string) => [...template.matchAll(/\{\d+\}/g)].map(String).sort();

  it('are each said in Chinese, with all their values', () => {
    expect(known.size).toBeGreaterThan(60);
    expect(Object.keys(CHINESE).sort()).toEqual([...known.keys()].sort());
    for (const [code, english] of known) expect(places(CHINESE[code]!), code).toEqual(places(english));
  });
  it('are put together of their parts, and left in English where one is not known', () => {
    const fault = { reason: 'English', why: [{ code: 'rows.cells', values: ['3', '4'] }, { code: 'in.field', values: ['lines'] }] };
    expect(reasonText(fault, true)).toBe('一行有 3 个单元，而命名了 4 个（字段 lines）');
    expect(reasonText(fault, false)).toBe('English');
    expect(reasonText({ reason: 'English', why: [...fault.why, { code: 'of.tomorrow', values: [] }] }, true)).toBe('English');
    expect(reasonText({ reason: '', why: [{ code: 'group.differs', values: ['a.csv, line 3'] }] }, true)).toContain('a.csv，第 3 行');
  });
});

describe('refusals', () => {
  it('are judged as the SDK judges them', () => {
    for (const [error, verdict] of [
      [problem('stage.taken', 409), 'taken'], [new Failed('contract.error.document_exists', ''), 'taken'], [new Failed('contract.error.previous_root', ''), 'taken'], [new Failed('contract.error.version_pending', ''), 'taken'], [new Failed('contract.error.subject_exists', ''), 'registered'],
      [new Failed('contract.error.reference_state', ''), 'early'], [new Failed('contract.error.issuer_unrelated', ''), 'content'], [problem('stage.sensitive', 422), 'content'],
      [problem('stage.full', 503), 'passing'], [problem('mempool.full', 503), 'passing'], [problem('tx.unknown', 404), 'passing'], [problem('client.unreachable', 0), 'passing'],
      [problem('request.overloaded', 429), 'passing'], [problem('caller.forbidden', 403), 'fatal'], [new Error('other'), 'fatal'],
    ] as const) expect(verdictOf(error), String(error)).toBe(verdict);
  });
});

const wasm = new URL('../src/generated/uplink.wasm', import.meta.url);
const sample = new URL('../../genesis/sample/schemas/worker-identity.json', import.meta.url);
describe.skipIf(!existsSync(wasm))('the module uplink', () => {
  type Exports = { memory: WebAssembly.Memory; reserve(n: number): number; answer_at(): number; answer_bytes(): number } & Record<string, () => number>;
  let module: Exports;
  let file = new Uint8Array();
  beforeAll(async () => {
    const read_at = (low: number, high: number, to: number, length: number) => {
      const piece = file.slice((high >>> 0) * 2 ** 32 + (low >>> 0)).slice(0, length);
      new Uint8Array(module.memory.buffer, to >>> 0, piece.length).set(piece);
      return piece.length;
    };
    module = (await WebAssembly.instantiate(readFileSync(wasm), { host: { read_at, seen: () => undefined } })).instance.exports as unknown as Exports;
  });
  function bytesOf(name: string, value: unknown): { done: boolean; bytes: Uint8Array } {
    const input = new TextEncoder().encode(JSON.stringify(value));
    const at = module.reserve(input.length);
    new Uint8Array(module.memory.buffer, at, input.length).set(input);
    const done = module[name]?.() === 1;
    return { done, bytes: new Uint8Array(module.memory.buffer, module.answer_at(), module.answer_bytes()).slice() };
  }
  function call(name: string, value: unknown = null) {
    const { done, bytes } = bytesOf(name, value);
    return { done, answer: JSON.parse(new TextDecoder().decode(bytes)) };
  }
  const schema = { version: 1, definition: JSON.parse(readFileSync(sample, 'utf8')), registered: { height: 1, time_ms: 1 }, retired: null };
  const take = (content: string | Uint8Array, name = 'people.csv') => {
    file = typeof content === 'string' ? new TextEncoder().encode(content) : new Uint8Array(content);
    return { name, bytes: file.length };
  };
  const HEAD = '姓名,证件类型,证件号码,手机号码,开户行,银行卡号,核验方式,核验结果,核验时间\n';
  const row = (number: string, at = '2026/10/2 9:00') => `测试甲,居民身份证,${number},15400000000,某行,6222020200112233,人脸比对,通过,${at}\n`;

  it('reads, guesses, checks and seals a table, the same each time', () => {
    const source = take(HEAD + row('A1') + row('A2', '不详') + row('A3'));
    const look = call('look', { source, schemas: [schema] });
    expect(look.answer).toMatchObject({ kind: 'csv', records: 3, fits: [{ schema: 'worker-identity', version: 1 }], broken: null });
    expect(look.answer.samples['手机号码'][0]).toHaveProperty('hidden');
    const { mapping } = call('suggest', schema).answer;
    expect(mapping.fields.id_number).toEqual({ from: '证件号码' });
    expect(Object.keys(mapping.fields.result.codes)).toEqual(['通过']);
    const chosen = { ...mapping, number: ['证件号码'], public: ['result'], parties: { worker: { person_from: '证件号码', register: true } },
      fields: { ...mapping.fields, bank_name: { from: '开户行' }, id_type: { from: '证件类型', codes: { 居民身份证: 'resident_id' } }, method: { from: '核验方式', codes: { 人脸比对: 'face' } }, result: { from: '核验结果', codes: { 通过: 'passed' } } } };
    expect(call('check', { source, chain: '03'.repeat(32), member: 'institution', recipient: '09'.repeat(32), schema, mapping: chosen }).answer.code).toBe('uplink.key');
    expect(call('key', { key: '07'.repeat(32) }).answer.fingerprint).toMatch(/^[0-9a-f]{8}$/);
    const issue = { source, chain: '03'.repeat(32), member: 'institution', recipient: '0900000000000000000000000000000000000000000000000000000000000000', schema, mapping: chosen };
    const checked = call('check', issue);
    expect(checked.answer.summary, JSON.stringify(checked.answer)).toMatchObject({ documents: 2, rejected: 1, broken: [] });
    expect(checked.answer.summary.schemas[0].shown[0]).toMatchObject({ code: 'uplink.date', place: 'people.csv, line 3, column 9 (核验时间)' });
    expect(JSON.stringify(checked.answer.first)).not.toContain('测试甲');
    expect(checked.answer.titles['uplink.date'][0][1]).toMatch(/[\u4e00-\u9fff]/);
    const all: string[] = [];
    for (let turn = 0; turn < 2; turn += 1) {
      expect(call('begin', {}).done).toBe(true);
      const next = call('next', { limit: 10 }).answer;
      expect(next).toMatchObject({ end: true, rejected: 1, rows: [{ place: 'people.csv, line 2' }, { place: 'people.csv, line 4' }] });
      const { done, bytes } = bytesOf('seal', { n: next.rows[0].n });
      expect(done).toBe(true);
      const length = new DataView(bytes.buffer).getUint32(0, true);
      const head = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
      expect(head.calls.map((one: { contract: string; method: string }) => `${one.contract}.${one.method}`)).toEqual(['relations.register_subjects', 'documents.submit']);
      expect(Buffer.from(bytes.subarray(4 + length)).includes('测试甲')).toBe(false);
      all.push(Buffer.from(bytes).toString('hex'));
      expect(call('reject', { n: next.rows[1].n, why: { refused: ['contract.error.subject_closed', 'closed'] } }).done).toBe(true);
      const rejected = new TextDecoder().decode(bytesOf('rejected', null).bytes);
      expect(rejected.split('\r\n')).toHaveLength(4);
      expect(rejected).toContain('uplink.date');
      expect(rejected).toContain('[contract.error.subject_closed] closed');
      expect(call('done', { n: next.rows[0].n }).done).toBe(true);
      expect(call('done', { n: next.rows[0].n }).answer.code).toBe('client.bad_input');
    }
    expect(all[0]).toBe(all[1]);
  }, 120_000);
  it('makes the same documents of a workbook as of the table in it', () => {
    const mapping = { schema: 'worker-identity', number: ['证件号码'], offset: '+08:00', public: ['result'], sign: [], references: {}, parties: { worker: { person_from: '证件号码', register: true } },
      fields: { name: { from: '姓名' }, id_type: { from: '证件类型', codes: { 居民身份证: 'resident_id' } }, id_number: { from: '证件号码' }, mobile: { from: '手机号码' }, bank_name: { from: '开户行' },
        bank_account: { from: '银行卡号' }, method: { from: '核验方式', codes: { 人脸比对: 'face' } }, result: { from: '核验结果', codes: { 通过: 'passed' } }, verified_at: { from: '核验时间' } } };
    const rows = Array.from({ length: 3_000 }, (_, n) => `测试甲${n},居民身份证,C${n},15400000000,某行,6222020200112233,人脸比对,通过,2026-10-02T09:00:00`.split(','));
    rows[7]![8] = '不详';
    const asText = HEAD + rows.map((row) => `${row.join(',')}\n`).join('');
    // 2026-10-02 09:00, as a workbook counts days.
    const asCells = rows.map((row) => [...row.slice(0, 8), row[8] === '不详' ? row[8] : { day: 46_297.375 }]);
    const book = workbook([['封面', [['报表']]], ['人员', [HEAD.trim().split(','), ...asCells]]]);
    call('key', { key: '07'.repeat(32) });
    const made = (source: unknown, more: object) => {
      const issue = { source, chain: '03'.repeat(32), member: 'institution', recipient: '09'.repeat(32), schema, mapping: { ...mapping, ...more } };
      const { summary } = call('check', issue).answer;
      expect(summary).toMatchObject({ documents: 2_999, rejected: 1, broken: [] });
      const [place] = summary.schemas[0].shown.map((fault: { place: string }) => fault.place);
      expect(call('begin', {}).done).toBe(true);
      const rows: { id: string; content: string }[] = [];
      for (let end = false; !end;) {
        const next = call('next', { limit: 64 }).answer;
        rows.push(...next.rows);
        end = next.end;
        for (const { n } of next.rows) call('done', { n });
      }
      return { place, documents: rows.map(({ id, content }) => [id, content]), rejected: new TextDecoder().decode(bytesOf('rejected', null).bytes) };
    };
    const text = made(take(asText), {});
    const source = take(book, 'people.xlsx');
    const look = call('look', { source, schemas: [schema] }).answer;
    expect(look).toMatchObject({ kind: 'xlsx', sheets: ['封面', '人员'], sheet: '人员', columns: HEAD.trim().split(','), fits: [{ schema: 'worker-identity' }] });
    expect(call('suggest', schema).answer.mapping.fields.id_number).toEqual({ from: '证件号码' });
    expect(call('look', { source, schemas: [schema], options: { sheet: '封面' } }).answer.code).toBe('uplink.empty');
    expect(call('look', { source, schemas: [schema], options: { sheet: '别的' } }).answer.detail).toContain('封面, 人员');
    const cells = made(source, { sheet: '人员' });
    expect(cells.documents).toEqual(text.documents);
    expect(cells.documents).toHaveLength(2_999);
    expect([text.place, cells.place]).toEqual(['people.csv, line 9, column 9 (核验时间)', 'people.xlsx, sheet 人员, cell I9 (核验时间)']);
    expect(cells.rejected).toBe(text.rejected.replaceAll(text.place, cells.place));
  }, 120_000);
  it('tells what changed by name, and makes it the next version only when it is to', () => {
    const row = (number: string, mobile: string) => `测试甲,居民身份证,${number},${mobile},某行,6222020200112233,人脸比对,通过,2026/10/2 9:00\n`;
    const mapping = { schema: 'worker-identity', number: ['证件号码'], offset: '+08:00', public: ['result'], sign: [], references: {}, parties: { worker: { person_from: '证件号码', register: true } },
      fields: { name: { from: '姓名' }, id_type: { from: '证件类型', codes: { 居民身份证: 'resident_id' } }, id_number: { from: '证件号码' }, mobile: { from: '手机号码' }, bank_name: { from: '开户行' },
        bank_account: { from: '银行卡号' }, method: { from: '核验方式', codes: { 人脸比对: 'face' } }, result: { from: '核验结果', codes: { 通过: 'passed' } }, verified_at: { from: '核验时间' } } };
    const checked = (mobile: string) => {
      const source = take(HEAD + row('B1', mobile) + row('B2', '15400000000'));
      const issue = { source, chain: '03'.repeat(32), member: 'institution', recipient: '0900000000000000000000000000000000000000000000000000000000000000', schema, mapping };
      expect(call('check', issue).answer.summary).toMatchObject({ documents: 2, rejected: 0 });
    };
    const given = (begin: string, input: unknown = null) => {
      expect(call(begin, input).done).toBe(true);
      return call('next', { limit: 10 }).answer;
    };
    const sealed = (n: number) => {
      const { bytes } = bytesOf('seal', { n });
      return JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + new DataView(bytes.buffer).getUint32(0, true))));
    };
    call('key', { key: '07'.repeat(32) });
    checked('15400000000');
    const [row1] = given('begin', {}).rows;
    const first = sealed(row1.n);
    const moment = { height: 1, time_ms: 1 };
    const slot = schema.definition.fields.findIndex((field: { name: string }) => field.name === 'result');
    const version = (number: number, root: string, previous: string | null) => ({
      version: number, submitted: moment, submitter: '05'.repeat(32), state: 'Effective', effective: moment, previous_root: previous, ending: null, accepted: 0, rejected: 0, signatures: [],
      content: { schema_version: 1, root, blob_root: null, parties: [{ role: 'worker', party: { subject: first.register[0] } }], references: [], public: [{ slot, value: '"passed"' }], recipients: [] },
    });
    const document = (latest: number, more = {}) => ({ id: row1.id, sequence: 1, category_sequence: 1, issuer_sequence: 1, category: 'Identity', schema: 'worker-identity', issuer: 'institution', created: moment,
      latest, effective: latest, disputes: 0, holds: 0, correction: false, erasure: 'None', ...more });
    const asked = (latest: number, newest: unknown, more = {}) => ({ document: document(latest, more), latest: newest, in_force: null });
    const none = { document: null, latest: null, in_force: null };

    // What is there as it is follows from the root; what is to be noted comes along.
    let [one, two] = given('begin_comparing').rows;
    expect(call('compare', { n: one.n, noted: null }).answer).toEqual({ needs: 'document' });
    const same = call('compare', { n: one.n, noted: null, asked: asked(1, version(1, first.root, null)) }).answer;
    expect(same).toMatchObject({ standing: 'same', version: 1 });
    expect(call('compare', { n: two.n, noted: null, asked: none }).answer.standing).toBe('new');
    expect(call('changes').answer.changes).toMatchObject({ new: 1, unchanged: 1, changed: 0, rows: [] });

    // By what was noted of it, a change has its name and nothing is read.
    checked('15400000001');
    const noted = { content: one.content, version: 1, parts: same.parts, open: false };
    [one, two] = given('begin_comparing').rows;
    expect(call('compare', { n: one.n, noted, asked: asked(1, version(1, first.root, null)) }).answer.standing).toBe('changed');
    call('compare', { n: two.n, noted: null, asked: none });
    const { changes } = call('changes').answer;
    expect(changes).toMatchObject({ new: 1, changed: 1, blocked: 0, rows: [{ document: row1.id, version: 1, fields: ['mobile'], place: 'people.csv, line 2' }] });
    expect(JSON.stringify(changes)).not.toMatch(/15400000001|B1/);
    expect(given('begin', { changed: 'reject' })).toMatchObject({ rejected: 1, kept_back: 1, rows: [{ n: expect.any(Number), version: 1, place: 'people.csv, line 3' }] });
    expect(new TextDecoder().decode(bytesOf('rejected', null).bytes)).toMatch(/uplink\.changed.*in version 1: mobile;/);
    expect(given('begin', { changed: 'skip' })).toMatchObject({ rejected: 0, skipped: 1, rows: [{ place: 'people.csv, line 3' }] });
    const [next] = given('begin', { changed: 'version' }).rows;
    expect(next.version).toBe(2);
    const second = sealed(next.n);
    expect(second.calls.map((call: { method: string }) => call.method)).toEqual(['register_subjects', 'revise']);
    expect(second.calls[1].arguments).toContain(first.root);
    expect(second.root).not.toBe(first.root);

    // Without a memory the version is found by its root too, behind the one before; an older content by an older root.
    const newest = asked(2, version(2, second.root, first.root));
    [one] = given('begin_comparing').rows;
    expect(call('compare', { n: one.n, noted: null, asked: newest }).answer).toMatchObject({ standing: 'same', version: 2 });
    checked('15400000000');
    [one] = given('begin_comparing').rows;
    expect(call('compare', { n: one.n, noted: null, asked: newest }).answer).toMatchObject({ needs: 'fields', version: 2 });
    expect(call('compare', { n: one.n, noted: null, asked: newest, read: { fields: null } }).answer).toEqual({ needs: 'versions', versions: [1] });
    const again = { n: one.n, noted: null, asked: newest, read: { fields: null }, earlier: [version(1, first.root, null)] };
    expect(call('compare', again).answer.standing).toBe('changed');
    expect(call('changes').answer.changes).toMatchObject({ changed: 1, again: 1, rows: [{ again: 1, fields: expect.arrayContaining(['mobile?']) }] });

    // What keeps a document is told, with what that is called.
    [one] = given('begin_comparing').rows;
    expect(call('compare', { ...again, n: one.n, asked: asked(2, version(2, second.root, first.root), { holds: 1 }) }).answer.standing).toBe('blocked');
    const blocked = call('changes').answer;
    expect(blocked.changes).toMatchObject({ changed: 0, blocked: 1, faults: [{ code: 'uplink.held' }] });
    expect(blocked.titles['uplink.held'][0][1]).toMatch(/[\u4e00-\u9fff]/);
    const both = { asked: asked(2, version(2, second.root, first.root), { disputes: 1 }), noted: null, read: { fields: null }, earlier: [] };
    [one, two] = given('begin_comparing').rows;
    for (const { n } of [two, one]) call('compare', { ...both, n });
    expect(call('changes').answer.changes.faults.map((fault: { place: string }) => fault.place)).toEqual(['people.csv, line 2', 'people.csv, line 3']);
    expect(call('hindered', { document: document(2, { disputes: 1 }), latest: 'Effective' }).answer[0]).toBe('uplink.disputed');
    expect(call('hindered', { document: document(2), latest: 'Effective' }).answer).toBeNull();
  }, 120_000);
  it('refuses what it does not read, and what is broken', () => {
    expect(call('look', { source: take('PK\u0003\u0004 and more', 'x.zip'), schemas: [schema] }).answer.code).toBe('uplink.format');
    expect(call('look', { source: take('PK\u0003\u0004 and more', 'x.xlsx'), schemas: [schema] }).answer).toMatchObject({ code: 'uplink.format', title_zh: expect.stringMatching(/./) });
    expect(call('look', { source: take(Buffer.concat([Buffer.from('d0cf11e0a1b11ae1', 'hex'), Buffer.alloc(600)]), 'x.xlsx'), schemas: [schema] }).answer.code).toBe('uplink.encrypted');
    expect(call('look', { source: take(' \n'), schemas: [schema] }).answer.code).toBe('uplink.empty');
    expect(call('mapping_of', { name: 'm', text: 'format = [' }).answer.code).toBe('uplink.mapping');
  });
});
