// @vitest-environment node
import { readFileSync, existsSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { BadValue, toBody, toJson, typeName } from '../src/lib/abi';
import { messages } from '../src/lib/messages';
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
