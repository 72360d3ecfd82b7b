// Forms from a contract's own description: what was typed becomes the JSON that the API reads.
import type { Abi, AbiType, Field } from './types';

export function typeName(type: AbiType): string {
  if (typeof type === 'string') return type;
  if ('list' in type) return `[${typeName(type.list)}]`;
  if ('option' in type) return `${typeName(type.option)}?`;
  return type.named;
}

export class BadValue extends Error {
  constructor(readonly field: string, readonly wanted: string) {
    super(`${field}: ${wanted}`);
  }
}

const BOUNDS: Record<string, [bigint, bigint]> = {
  u8: [0n, 255n],
  u16: [0n, 65_535n],
  u32: [0n, 4_294_967_295n],
  u64: [0n, 18_446_744_073_709_551_615n],
  i64: [-9_223_372_036_854_775_808n, 9_223_372_036_854_775_807n],
};

/** What one input says, as text of JSON. */
export function toJson(field: Field, typed: string): string {
  return convert(field.name, field.type, typed);
}

function convert(name: string, type: AbiType, typed: string): string {
  const value = typed.trim();
  if (typeof type === 'object') {
    if ('option' in type) return value === '' ? 'null' : convert(name, type.option, typed);
    try {
      JSON.parse(value);
    } catch {
      throw new BadValue(name, 'JSON');
    }
    return value;
  }
  const bounds = BOUNDS[type];
  if (bounds) {
    if (!/^-?\d{1,20}$/.test(value)) throw new BadValue(name, type);
    const number = BigInt(value);
    if (number < bounds[0] || number > bounds[1]) throw new BadValue(name, type);
    // From 2^53 on a number would be rounded on the way; the API reads a text as well.
    return number > 9_007_199_254_740_991n || number < -9_007_199_254_740_991n ? `"${number}"` : number.toString();
  }
  if (type === 'bool') {
    if (value !== 'true' && value !== 'false') throw new BadValue(name, 'true / false');
    return value;
  }
  if (type === 'hash' || type === 'account') {
    if (!/^[0-9a-f]{64}$/i.test(value)) throw new BadValue(name, '64 × 0-9 a-f');
    return JSON.stringify(value.toLowerCase());
  }
  if (type === 'bytes' && !/^([0-9a-f]{2})*$/i.test(value)) throw new BadValue(name, 'hex');
  return JSON.stringify(type === 'string' ? typed : value);
}

export function toBody(fields: Field[], typed: Record<string, string>): string {
  const parts = fields.map((field) => `${JSON.stringify(field.name)}:${toJson(field, typed[field.name] ?? '')}`);
  return `{"arguments":{${parts.join(',')}}}`;
}

export const hasMethod = (abi: Abi | null | undefined, name: string): boolean =>
  !!abi?.methods.some((method) => method.name === name);
