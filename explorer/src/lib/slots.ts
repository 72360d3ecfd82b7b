// Sets of a schema's fields as the chain writes them: slot i is bit i % 8 of byte i / 8, in hexadecimal.
import { fromHex } from './verifier';

export const slotsOf = (set: string): number[] =>
  [...fromHex(set)].flatMap((byte, i) => [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (byte >> bit) & 1).map((bit) => 8 * i + bit));

export function setOf(slots: number[]): string {
  const bytes = new Uint8Array(slots.length ? (Math.max(...slots) >> 3) + 1 : 0);
  for (const slot of slots) bytes[slot >> 3] = (bytes[slot >> 3] ?? 0) | (1 << (slot & 7));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
