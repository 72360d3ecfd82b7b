// @vitest-environment node
import { readFileSync, existsSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { BadValue, toBody, toJson, typeName } from '../src/lib/abi';
import { messages } from '../src/lib/messages';
import { erasureRows, partyQuery, type Erasure, type ErasureProgress } from '../src/lib/documents';
import { match } from '../src/lib/routes';
import { hitAddress, isPersonal } from '../src/lib/hits';
import { NotProven, fromHex, useLight, verifyBlock, verifyProof } from '../src/lib/verifier';

describe('forms of the ABI', () => {
  it('writes numbers without rounding them', () => {
    expect(toJson({ name: 'n', type: 'u64' }, '18446744073709551615')).toBe('"18446744073709551615"');
    expect(toJson({ name: 'n', type: 'u64' }, '7')).toBe('7');
    expect(toJson({ name: 'n', type: 'i64' }, '-5')).toBe('-5');
  });
  it('refuses what does not fit', () => {
    for (const [type, typed] of [['u8', '256'], ['u32', '-1'], ['u64', '1.5'], ['hash', 'ab'], ['bytes', 'abc'], ['bool', '1']] as const) {
      expect(() => toJson({ name: 'x', type }, typed), `${type} ${typed}`).toThrow(BadValue);
    }
  });
  it('takes an empty option for null and escapes texts', () => {
    const fields = [{ name: 'a', type: { option: 'string' } }, { name: 'b', type: 'string' }];
    expect(JSON.parse(toBody(fields, { b: 'x"\n凭证' }))).toEqual({ arguments: { a: null, b: 'x"\n凭证' } });
    expect(typeName({ list: { option: { named: 'Entry' } } })).toBe('[Entry?]');
  });
});

describe('messages', () => {
  it('names the same places in both languages', () => {
    for (const [key, [english, chinese]] of Object.entries(messages)) {
      const places = (text: string) => [...text.matchAll(/\{\d\}/g)].map(String).sort().join();
      expect(places(chinese), key).toBe(places(english));
    }
  });
});

describe('search', () => {
  it('keeps numbers of persons out of addresses and requests', () => {
    for (const what of ['110101199003071233', '11010519491231002X', '13800138000', '6222021234567890123']) expect(isPersonal(what), what).toBe(true);
    for (const what of ['HT-2026-00931', '1234', '5a'.repeat(32), '91110000MA00000000']) expect(isPersonal(what), what).toBe(false);
  });
  it('leads each kind of hit to a page that exists', () => {
    const document = { id: '5a'.repeat(16) };
    const hits = [{ kind: 'document', document }, { kind: 'transaction', id: '5a'.repeat(32), height: 1 }, { kind: 'block', height: 7, hash: '' },
      { kind: 'contract', name: 'notary' }, { kind: 'member', name: 'works' }, { kind: 'digest', name: '5a'.repeat(32) }];
    for (const hit of hits) expect(match(hitAddress(hit as never).split('?')[0] ?? '').name, hit.kind).not.toBe('missing');
  });
  it('says parties as the API reads them', () => {
    expect(partyQuery({ member: 'works' })).toBe('member:works');
    expect(partyQuery({ subject: '5a' })).toBe('subject:5a');
  });
});

describe('an erasure member by member', () => {
  const at = (time_ms: number) => ({ height: time_ms / 10, time_ms });
  const record: Erasure = {
    document: '00', state: 'Ordered', by: { member: 'works' }, code: 'consent', requested: at(10), earliest_ms: 0, ordered: at(20),
    deadline_ms: 100, holders: ['shop', 'union', 'works'], closed: null, missing: [],
    attestations: [{ member: 'works', receipt: 'aa', at: at(40) }, { member: 'shop', receipt: 'bb', at: at(150) }],
  };
  const said: ErasureProgress = { height: 1, time: 5, disputes: 0, holds: [], members: [{ member: 'tax', standing: 'held' }] };
  const standings = (of: Erasure | null, time_ms: number) =>
    erasureRows(of && { record: of, claim: { time_ms } }, said).map((row) => [row.member, row.standing, row.late]);

  it('goes by the proven record and the time of the proven block', () => {
    const works = ['works', 'attested', false];
    const before = { ...record, attestations: record.attestations.slice(0, 1) };
    expect(standings(before, 99)).toEqual([['shop', 'outstanding', false], ['union', 'outstanding', false], works]);
    expect(standings(before, 100)).toEqual([['shop', 'overdue', false], ['union', 'overdue', false], works]);
    expect(standings(record, 160)).toEqual([['shop', 'attested', true], ['union', 'overdue', false], works]);
    expect(standings({ ...before, closed: at(90) }, 95)[1]).toEqual(['union', 'overdue', false]);
  });

  it('says who is entitled while it is held back', () => {
    expect(standings({ ...record, ordered: null }, 50)).toEqual([['tax', 'held', false]]);
    expect(standings(null, 50)).toEqual([['tax', 'held', false]]);
  });
});

const wasm = new URL('../src/generated/light.wasm', import.meta.url);
describe.skipIf(!existsSync(wasm))('the verifier', () => {
  const chain = '00'.repeat(32);
  beforeAll(() => useLight(readFileSync(wasm)));
  it('refuses what is no proof', async () => {
    await expect(verifyProof(chain, new Uint8Array(100))).rejects.toThrow(NotProven);
    await expect(verifyProof('zz', new Uint8Array(1))).rejects.toThrow(NotProven);
    await expect(verifyBlock(chain, new Uint8Array(8), { header: {}, certificate: {} })).rejects.toThrow(NotProven);
  });
  it('reads hexadecimal', () => expect([...fromHex('00ff')]).toEqual([0, 255]));
});
