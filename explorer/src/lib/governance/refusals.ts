// What the kernel's codes mean: titles as its description has them, and what to do about those that a voter meets.
import { ask } from '../api';
import { messages, type Key } from '../messages';
import type { Contract, Title } from '../types';

let asked: Promise<Map<string, Title>> | null = null;

/** Titles of codes by the description of the contract that a code belongs to; none when the node cannot be asked. */
export function titles(): Promise<Map<string, Title>> {
  asked ??= ask<Contract>('/contracts/system')
    .then((kernel) => new Map((kernel.abi?.errors ?? []).map((error) => [error.code, error.title ?? {}])))
    .catch(() => {
      asked = null;
      return new Map<string, Title>();
    });
  return asked;
}

/** The text that says what to do; `otherwise` for codes without one of their own. */
export function mendOf(code: string, otherwise: Key): Key {
  const key = `mend_${code.replaceAll('.', '_')}`;
  return key in messages ? (key as Key) : otherwise;
}
