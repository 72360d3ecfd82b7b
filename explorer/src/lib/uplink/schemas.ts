// Schemas that documents can be made of, proven from the state, and the own member's encryption key.
import { ask } from '../api';
import { query } from '../documents';
import { same, stateRecord } from '../trust';
import type { Member, Page } from '../types';
import { NotProven } from '../verifier';
import type { SchemaRecord } from './types';

const PAGE = 50;
const SCHEMAS_MAX = 500;
const hex = (text: string): string => [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, '0')).join('');

interface Entry { number: number; name: string; version: number; open: boolean }

export async function provenSchema(name: string, version: number): Promise<SchemaRecord> {
  const key = hex('h') + name.length.toString(16).padStart(2, '0') + hex(name) + version.toString(16).padStart(8, '0');
  const found = await stateRecord<SchemaRecord>('documents', key);
  if (!found) throw new NotProven(`the state holds no schema ${name} version ${version}`);
  same('schema', name, found.record.definition.name);
  return found.record;
}

/** The newest open version of each. */
export async function schemas(): Promise<SchemaRecord[]> {
  const newest = new Map<string, number>();
  for (let after = 0; after < SCHEMAS_MAX;) {
    const page = await query<Entry[] | null>('list_schemas', { after, limit: PAGE });
    for (const entry of page ?? []) if (entry.open && entry.version > (newest.get(entry.name) ?? 0)) newest.set(entry.name, entry.version);
    const last = page?.at(-1);
    if (!last || (page?.length ?? 0) < PAGE) break;
    after = last.number;
  }
  return Promise.all([...newest].map(([name, version]) => provenSchema(name, version)));
}

export const members = async (): Promise<Member[]> => (await ask<Page<Member>>('/members')).items;

/** The key that documents of a member are sealed to. */
export function recipientOf(all: Member[], member: string): string | null {
  const last = all.find((one) => one.name === member)?.encryption_keys.at(-1);
  return last && !last.retired ? last.key : null;
}
