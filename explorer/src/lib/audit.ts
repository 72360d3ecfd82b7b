// The read audit: who read what, with the chain of its records and the heads that stand on the chain of blocks.
import { ask } from './api';
import { query, type Moment } from './documents';
import { bytesOf } from './reader';
import { session } from './session.svelte';
import { stateRecord } from './trust';
import type { Account, Page } from './types';
import { NotProven } from './verifier';

export interface AuditRecord {
  number: number; time: number; actor: string; access: 'read' | 'file' | 'release' | 'export'; document: string; version: number;
  fields: string; purpose: string; result: string; previous: string; hash: string;
}
export interface Anchor { number: number; entries: number; head: string; at: Moment }
/** Up to which record the chain of blocks vouches, and by which anchor. */
export interface Vouched { anchor: Anchor | null; upTo: number }

const PAGE = 1000;
const LOGS_MAX = 100;
const ACCOUNT_PAGES_MAX = 20;
const hex = (text: string): string => [...bytesOf(text)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
const named = (text: string): string => bytesOf(text).length.toString(16).padStart(2, '0') + hex(text);

export function auditPage(document: string, after: number, limit: number): Promise<Page<AuditRecord>> {
  const path = document ? `/documents/${document}/audit` : '/vault/audit';
  return session.ask<Page<AuditRecord>>(`${path}?after=${after}&limit=${limit}`);
}

/** Each record is what its hash says; in a chain each follows from the one before. Answers the hash of the last one. */
export async function checkRecords(records: AuditRecord[], isChain: boolean, previous: string | null = null): Promise<string> {
  const { head } = await session.reader().json<{ head: string }>('check_audit', [bytesOf(JSON.stringify({ records, is_chain: isChain, previous }))]);
  return head;
}

async function proven(member: string, log: string, number: number): Promise<Anchor> {
  const found = await stateRecord<Anchor>('documents', hex('n') + named(member) + named(log) + number.toString(16).padStart(16, '0'));
  if (!found) throw new NotProven(`the state holds no anchor ${number} of ${log}`);
  return found.record;
}

const head = (member: string, node: string) => query<Anchor | null>('audit_head', { member, node });

/** A log whose database was lost begins anew under the next name; the newest is the one that goes on. */
export async function newestLog(member: string, node: string): Promise<{ log: string; newest: Anchor | null }> {
  let found = { log: node, newest: await head(member, node) };
  for (let number = 2; found.newest && number <= LOGS_MAX; number += 1) {
    const log = `${node}.${number}`;
    const newest = await head(member, log);
    if (!newest) break;
    found = { log, newest };
  }
  return found;
}

/** The first anchor that has a record under it, by halving. */
async function covering(member: string, log: string, newest: Anchor, record: number): Promise<Anchor> {
  let [low, high] = [1, newest.number];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [at] = await query<Anchor[]>('list_anchors', { member, node: log, after: middle - 1, limit: 1 });
    if (at && at.entries < record) low = middle + 1;
    else high = middle;
  }
  return proven(member, log, low);
}

/** The hash of record `to`, reached from the record after `after` whose predecessor has hash `previous`. */
async function walk(after: number, to: number, previous: string | null): Promise<string> {
  let [at, hash] = [after, previous];
  while (at < to) {
    const page = await auditPage('', at, Math.min(PAGE, to - at));
    const last = page.items.at(-1);
    if (!last || page.items[0]?.number !== at + 1) throw new NotProven(`the node does not show record ${at + 1} of its audit`);
    hash = await checkRecords(page.items, true, hash);
    at = last.number;
  }
  return hash ?? '';
}

function isHead(hash: string, anchor: Anchor) {
  if (hash !== anchor.head) throw new NotProven(`record ${anchor.entries} of the audit is not the one that anchor ${anchor.number} on the chain names`);
}

/** Records about one document, which is all that can be said of them here: others stand between, so that a node can leave some out. */
export async function checkAbout(document: string, records: AuditRecord[]): Promise<void> {
  for (const record of records) if (record.document !== document) throw new NotProven(`record ${record.number} is about the document ${record.document}`);
  await checkRecords(records, false);
}

/** Leads records of a page to heads on the chain; what is newer than the last head is led back to it. */
export async function vouchFor(records: AuditRecord[], member: string, node: string): Promise<Vouched> {
  const [first, last] = [records[0], records.at(-1)];
  if (!first || !last) return { anchor: null, upTo: 0 };
  const own = await checkRecords(records, true);
  const { log, newest } = await newestLog(member, node);
  if (!newest) return { anchor: null, upTo: 0 };
  if (newest.entries >= last.number) {
    const anchor = await covering(member, log, newest, last.number);
    isHead(await walk(last.number, anchor.entries, own), anchor);
    return { anchor, upTo: last.number };
  }
  const anchor = await proven(member, log, newest.number);
  if (first.number <= anchor.entries) {
    isHead(await checkRecords(records.filter((record) => record.number <= anchor.entries), true), anchor);
    return { anchor, upTo: anchor.entries };
  }
  const before = await walk(anchor.entries, first.number - 1, anchor.head);
  if (before !== first.previous) throw new NotProven(`record ${first.number} does not follow from the head on the chain`);
  return { anchor, upTo: anchor.entries };
}

export type Actor = { account?: Account; person?: string };

/** Accounts do not change hands: who was asked for once is known. */
const known = new Map<string, Actor>();

/** Who accounts are, as the registry says. */
export async function actorsOf(ids: string[]): Promise<Map<string, Actor>> {
  const wanted = new Set(ids.filter((id) => !/^0+$/.test(id) && !known.has(id)));
  let after = '';
  for (let turn = 0; turn < ACCOUNT_PAGES_MAX && wanted.size; turn += 1) {
    const page = await ask<Page<Account>>(`/accounts?limit=1000${after ? `&after=${after}` : ''}`);
    for (const account of page.items) if (wanted.delete(account.account)) known.set(account.account, { account });
    if (!page.next) break;
    after = page.next;
  }
  for (const id of wanted) {
    const answer = await ask<{ value?: string | null }>('/contracts/relations/query/subject_of_account', { body: JSON.stringify({ arguments: { account: id } }) }).catch(() => null);
    if (answer?.value) known.set(id, { person: answer.value });
  }
  return new Map(known);
}
