// @vitest-environment node
// The module that opens, signs and judges in a browser, and the page's side of it.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { beginsAsPackage, isPackage } from '../src/lib/evidence';
import { Reader, isUnprotected, withLength } from '../src/lib/reader';
import { setOf, slotsOf } from '../src/lib/slots';

const wasm = new URL('../src/generated/reader.wasm', import.meta.url);
const vectors = (name: string) => JSON.parse(readFileSync(new URL(`../../tests/vectors/${name}.json`, import.meta.url), 'utf8'));
const encoder = new TextEncoder();
const bytes = (value: unknown) => encoder.encode(JSON.stringify(value));

describe.skipIf(!existsSync(wasm))('the module', () => {
  type Exports = { memory: WebAssembly.Memory; reserve(n: number): number; answer_at(): number; answer_bytes(): number } & Record<string, () => number>;
  let module: Exports;
  let file = new Uint8Array();
  beforeEach(async () => {
    const read_at = (low: number, high: number, to: number, length: number) => {
      const piece = file.slice((high >>> 0) * 2 ** 32 + (low >>> 0)).slice(0, length);
      new Uint8Array(module.memory.buffer, to >>> 0, piece.length).set(piece);
      return piece.length;
    };
    const made = await WebAssembly.instantiate(readFileSync(wasm), { host: { read_at } });
    module = made.instance.exports as unknown as Exports;
  });
  function call(name: string, ...parts: Uint8Array[]) {
    const input = Buffer.concat(parts);
    const at = module.reserve(input.length) >>> 0;
    new Uint8Array(module.memory.buffer, at, input.length).set(input);
    const done = module[name]?.() === 1;
    const answer = new TextDecoder().decode(new Uint8Array(module.memory.buffer, module.answer_at() >>> 0, module.answer_bytes()).slice());
    return { done, answer: JSON.parse(answer) };
  }
  const typed = (password: string) => [...withLength(encoder.encode(password))];

  it('opens the key files that vouch key writes, and says why not', () => {
    const keys = vectors('key_file');
    const said = bytes({ chain: '00'.repeat(32), node: 'localhost:7480', method: 'GET', target: '/', time: 1, nonce: '00'.repeat(16) });
    expect(call('sign', ...withLength(said)).answer.code).toBe('client.signed_out');
    expect(call('look', bytes(keys.encrypted)).answer).toMatchObject({ encrypted: true, key: keys.encrypted.public_key });
    expect(call('unlock', ...typed('wrong'), bytes(keys.encrypted)).answer).toMatchObject({ code: 'keystore.wrong_password' });
    expect(call('unlock', ...typed(''), bytes(keys.encrypted)).answer.code).toBe('keystore.password_required');
    expect(call('sign', ...withLength(said)).answer.code).toBe('client.signed_out');
    expect(call('unlock', ...typed(keys.password), bytes(keys.encrypted)).answer).toMatchObject({ key: keys.encrypted.public_key });
    expect(call('sign', ...withLength(said)).answer['vouch-key']).toBe(keys.encrypted.public_key);
    expect(call('unlock', ...typed(''), bytes(keys.bare)).done).toBe(true);
    expect(call('look', bytes({ ...keys.bare, version: 2 })).answer).toMatchObject({ code: 'keystore.malformed', title_zh: expect.stringMatching(/密钥/) });
  }, 60_000);

  it('signs ballots under what is shown, and nothing that has no form', () => {
    const content = { kind: 'emergency', member: null, title: '冻结', deadline: 90, actions: [{ contract: 'system', method: 'freeze_contract', arguments: { name: 'notary' } }] };
    const signed = (decision: object) => call('sign_decision', bytes({ chain: '03'.repeat(32), expiry: 40, salt: '05'.repeat(16), decision }));
    const vote = (shown: object, approve: boolean) => signed({ vote: { proposal: 7, content: shown, approve } });
    expect(vote(content, true).answer.code).toBe('client.signed_out');
    expect(call('unlock', ...typed(''), bytes(vectors('key_file').bare)).done).toBe(true);
    const one = vote(content, true).answer;
    expect(one).toEqual({ id: expect.stringMatching(/^[0-9a-f]{64}$/), raw: expect.stringMatching(/^[0-9a-f]+$/), content: expect.stringMatching(/^[0-9a-f]{64}$/) });
    expect(one.raw).toContain(one.content);
    // Encoded or by name, the arguments are the same; another title is another content.
    const encoded = { ...content, actions: [{ ...content.actions[0], arguments: '06000000000000006e6f74617279' }] };
    expect(vote(encoded, true).answer.content).toBe(one.content);
    expect(vote(content, false).answer).toMatchObject({ content: one.content, id: expect.not.stringContaining(one.id) });
    expect(vote({ ...content, title: '解冻' }, true).answer.content).not.toBe(one.content);
    expect(signed({ propose: { content } }).answer.content).toBe(one.content);
    expect(signed({ withdraw: { proposal: 7 } }).answer).toMatchObject({ content: null });
    for (const [contract, method, args] of [['system', 'freeze_contract', {}], ['system', 'no_method', {}], ['documents', 'grant', {}]] as const) {
      expect(vote({ ...content, actions: [{ contract, method, arguments: args }] }, true).answer.code, method).toBe('client.bad_input');
    }
    expect(signed({ grant: {} }).answer.code).toBe('client.bad_input');
  });

  it('judges what is no package as vouch verify does', () => {
    file = encoder.encode('PK and something else');
    expect(call('verify_package', bytes({ bytes: file.length, chain: null })).answer.code).toBe('evidence.truncated');
  });

  const sha = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
  const two = (n: number) => Buffer.from([n >> 8, n & 255]);
  const leafOf = (slot: number, disclosure: string) => sha(Buffer.from('\0GLC1.leaf'), two(slot), sha(Buffer.from(disclosure)));
  const head = (leaves: Uint8Array[]): Uint8Array => {
    if (leaves.length === 1) return leaves[0] as Uint8Array;
    let at = 1;
    while (at * 2 < leaves.length) at *= 2;
    return sha(Buffer.from([1]), head(leaves.slice(0, at)), head(leaves.slice(at)));
  };
  const rootOf = (header: string, leaves: Uint8Array[]) => sha(Buffer.from('\x02GLC1.doc'), sha(Buffer.from(header)), two(leaves.length), head(leaves));

  /** A reading of fields of a document of the vectors; `other` holds disclosures that an issuer put in the place of its own. */
  function reading(slots: number[], other: Record<number, string> = {}) {
    const [made] = vectors('privacy').documents;
    const titled = (field: { name: string }) => ({ ...field, title_en: field.name, title_zh: field.name, readers: 31, about: null });
    const schema = {
      version: 1, registered: { height: 1, time_ms: 1 }, retired: null,
      definition: { name: 'settlement', title_en: 'x', title_zh: 'x', category: 'Transaction', parties: [], references: [], purposes: [], retention_days: 0, fields: made.schema.fields.map(titled) },
    };
    const leaves = made.leaves.map((leaf: string, slot: number) => (other[slot] ? leafOf(slot, other[slot]) : Buffer.from(leaf, 'hex'))) as Buffer[];
    const shown = slots.map((slot) => ({ slot, disclosure: other[slot] ?? made.disclosures[slot] }));
    return {
      made,
      expected: { document: '7f'.repeat(16), version: 1, issuer: 'accu', root: Buffer.from(rootOf(made.header, leaves)).toString('hex'), blob_root: null, schema },
      reading: { document: '7f'.repeat(16), version: 1, header: made.header, leaves: leaves.map((leaf) => leaf.toString('hex')), reason: 'ok', fields: shown },
    };
  }

  it('shows fields that lead to the root, and no others', () => {
    const honest = reading([0, 3, 7]);
    expect(honest.expected.root).toBe(honest.made.root);
    expect(call('check_fields', bytes(honest)).answer.fields).toEqual([
      { slot: 0, name: 'scene', value: '即时配送' }, { slot: 3, name: 'amount', value: '1234.56' }, { slot: 7, name: 'settled', value: true }]);
    const lies = [
      { ...honest, expected: { ...honest.expected, root: 'ab'.repeat(32) } },
      { ...honest, expected: { ...honest.expected, issuer: 'works' } },
      { ...honest, expected: { ...honest.expected, version: 2 } },
      { ...honest, reading: { ...honest.reading, fields: [{ slot: 3, disclosure: honest.made.disclosures[0] }] } },
      { ...honest, reading: { ...honest.reading, leaves: honest.reading.leaves.slice(1) } },
    ];
    for (const lie of lies) expect(call('check_fields', bytes(lie)).answer.code).toBe('document.not_as_committed');
  });

  it('stays whole, whatever an issuer commits to', () => {
    for (const depth of [100, 125, 126, 127, 5000]) {
      for (const [open, middle, close] of [['[', '', ']'], ['{"a":', '1', '}']] as const) {
        const text = `["${Buffer.alloc(16, 1).toString('base64url')}","remark",${open.repeat(depth)}${middle}${close.repeat(depth)}]`;
        const hostile = reading([12], { 12: Buffer.from(text).toString('base64url') });
        expect(call('check_fields', bytes(hostile)).answer.code, `${depth} ${open}`).toBe('document.not_as_committed');
      }
    }
    expect(module.reserve((64 << 20) + 1)).toBe(0);
  });
});

describe('sets of fields', () => {
  it('are named as the chain does', () => {
    expect(setOf([0, 2, 9])).toBe('0502');
    expect(slotsOf('0502')).toEqual([0, 2, 9]);
    expect(setOf([])).toBe('');
  });
});

describe('the page’s side', () => {
  /** A worker as a browser has it, whose other side is the test. */
  class Other {
    sent: { message: { id: number; parts?: Uint8Array[] }; transfer: Transferable[] }[] = [];
    terminated = false;
    onmessage: ((event: { data: unknown }) => void) | null = null;
    onerror: ((event: { message: string; preventDefault(): void }) => void) | null = null;
    postMessage(message: { id: number }, transfer: Transferable[] = []) { this.sent.push({ message, transfer }); }
    terminate() { this.terminated = true; }
    answer(data: object) { this.onmessage?.({ data }); }
  }
  async function started() {
    const other = new Other();
    const starting = Reader.start(other as unknown as Worker, new ArrayBuffer(8));
    other.answer({ id: 1, done: true });
    return { other, reader: await starting };
  }

  it('gives passwords away instead of keeping a copy', async () => {
    const { other, reader } = await started();
    const parts = withLength(encoder.encode('a password'));
    void reader.call('unlock', parts).catch(() => null);
    expect(other.sent.at(-1)?.transfer).toEqual(parts.map((part) => part.buffer));
    reader.close();
  });
  it('ends with everything that was asked when the module stops', async () => {
    const { other, reader } = await started();
    const told = vi.fn();
    reader.onbroken = told;
    const asked = [reader.call('sign', []), reader.call('check_fields', [])];
    other.answer({ id: 2, broken: 'RuntimeError: unreachable', isDead: true });
    for (const answer of asked) await expect(answer).rejects.toMatchObject({ problem: { code: 'client.failed' } });
    expect([other.terminated, told.mock.calls.length]).toEqual([true, 1]);
    await expect(reader.call('sign', [])).rejects.toMatchObject({ problem: { code: 'client.failed' } });
  });
  it('goes on after a refusal', async () => {
    const { other, reader } = await started();
    const told = vi.fn();
    reader.onbroken = told;
    const asked = reader.json('look', []);
    other.answer({ id: 2, done: false, bytes: bytes({ code: 'keystore.malformed', status: 0, title: '', detail: '' }) });
    await expect(asked).rejects.toMatchObject({ problem: { code: 'keystore.malformed' } });
    expect([other.terminated, told.mock.calls.length]).toEqual([false, 0]);
  });
  it('knows by which addresses a page is protected', () => {
    for (const [protocol, host] of [['https:', 'node1.example'], ['http:', 'localhost'], ['http:', '127.0.0.1'], ['http:', '[::1]']] as const) expect(isUnprotected(protocol, host), host).toBe(false);
    for (const host of ['node1.example', '10.0.0.7', 'localhost.example', '127.example']) expect(isUnprotected('http:', host), host).toBe(true);
  });
  it('tells an archive from a package', async () => {
    const zip = (name: string) => new Blob([`PK\x03\x04${' '.repeat(26)}${name}rest`]);
    expect(await Promise.all([isPackage(zip('chain.json')), beginsAsPackage(zip('chain.json'))])).toEqual([true, true]);
    expect(await Promise.all([isPackage(zip('word/x.xml')), beginsAsPackage(zip('word/x.xml'))])).toEqual([true, false]);
    expect(await Promise.all([isPackage(new Blob(['x'])), beginsAsPackage(new Blob(['x']))])).toEqual([false, false]);
  });
});
