// Documents: shapes of the index and of the contracts' records, and the checks of what is shown of them.
import { ask } from './api';
import { same, stateRecord } from './trust';
import type { Page } from './types';
import { NotProven, type Claim } from './verifier';

export const CATEGORIES = ['Identity', 'Contract', 'Transaction', 'Invoice', 'Risk'] as const;
export const STATES = ['Pending', 'Effective', 'Rejected', 'Superseded', 'Revoked', 'Annulled', 'Erased'] as const;
export type Category = (typeof CATEGORIES)[number];
export type State = (typeof STATES)[number];

export interface Moment { height: number; time_ms: number }
export interface Party { member?: string | null; subject?: string | null }
export interface DocumentItem {
  number: number; id: string; category: Category; category_number: number; issuer: string; issuer_number: number; schema: string;
  state: State; version: number; effective?: number | null; created: Moment; changed: number; disputes: number; holds: number;
  correction: boolean; erasure: 'None' | 'Restricted' | 'Ordered' | 'Erased'; references: number; referenced_by: number;
}
export interface IndexPage<T> extends Page<T> { indexed: number; total?: number | null }
export interface DocumentDetail { head: number; indexed: number; document: DocumentItem; public: PublicText[]; state_keys: string[] }
export interface PublicText { field: string; value: string }
export interface DocumentRecord {
  id: string; sequence: number; category_sequence: number; issuer_sequence: number; category: Category; schema: string; issuer: string;
  created: Moment; latest: number; effective: number | null; disputes: number; holds: number; correction: boolean; erasure: string;
}
export interface VersionRecord {
  version: number; submitted: Moment; submitter: string; state: State; effective: Moment | null; previous_root: string | null;
  ending: { at: Moment; by: Party; code: string } | null; accepted: number; rejected: number;
  signatures: { party: Party; account: string; member: string | null; at: Moment }[];
  content: {
    schema_version: number; root: string; blob_root: string | null; parties: { role: string; party: Party }[];
    references: { name: string; id: string; version: number }[]; public: { slot: number; value: string }[]; recipients: { key: string; fields: string }[];
  };
}
export interface Grant {
  id: number; document: string; version: number; member: string | null; key: string | null; fields: string; purpose: string;
  until_ms: number | null; by: Party; at: Moment; ended: Moment | null;
}
export interface Dispute {
  id: number; document: string; version: number; by: Party; arbiter: string; code: string; claim: string; opened: Moment;
  state: 'Open' | 'Answered' | 'Ruled' | 'Withdrawn'; answers: { by: Party; statement: string; at: Moment }[];
  evidence: { by: Party; document: string; version: number; fields: string; at: Moment }[];
  ruling: { effect: string; code: string; statement: string; at: Moment } | null;
}
export interface Erasure {
  document: string; state: string; by: Party; code: string; requested: Moment; earliest_ms: number; ordered: Moment | null;
  deadline_ms: number; holders: string[]; attestations: { member: string; receipt: string; at: Moment }[]; closed: Moment | null; missing: string[];
}
export interface Hold { member: string; code: string; at: Moment }
/** How far an erasure is at a member, as the node says it: who is entitled while it is held back, and what holds it back. */
export interface ErasureProgress {
  height: number; time: number; disputes: number; holds: Hold[];
  members: { member: string; standing: 'kept' | 'held' | 'outstanding' | 'overdue' | 'attested' }[];
}
export interface ErasureRow { member: string; standing: 'kept' | 'held' | 'outstanding' | 'overdue' | 'attested'; at?: Moment; late: boolean }
export interface Provenance {
  head: number; indexed: number; complete: boolean;
  nodes: { document: DocumentItem; distance: number; hidden_up: number; hidden_down: number }[];
  edges: { from: string; from_version: number; name: string; to: string; to_version: number }[];
}
export type SearchHit = { kind: 'document'; document: DocumentItem; text?: PublicText | null } | { kind: 'transaction'; id: string; height: number } | { kind: 'block'; height: number; hash: string };
export interface Statistics {
  head: number; indexed: number; days: { day: string; name: string; count: number }[]; totals: Named[]; states?: Named[];
}
export interface Named { name: string; count: number }
export interface IndexStatus {
  head: number; indexed: number; lag: number; state: string; code?: string | null; detail?: string | null; first_block: number;
  rebuild?: { indexed: number; head: number } | null; bytes: number; transactions: number;
  documents: Count; relationships: Count; disputes: Count; grants: Count;
}
export interface Count { indexed: number; on_chain?: number | null }

export const partyText = (party: Party): string => party.member ?? party.subject ?? '';
/** As the API reads it. */
export const partyQuery = (party: Party): string => (party.member ? `member:${party.member}` : `subject:${party.subject}`);

const hex = (text: string): string => [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
const four = (value: number): string => value.toString(16).padStart(8, '0');

/** What a method of the contract answers, said by the node. */
export async function query<T>(method: string, args: Record<string, unknown>): Promise<T> {
  const answer = await ask<{ value?: T }>(`/contracts/documents/query/${method}`, { body: JSON.stringify({ arguments: args }) });
  return answer.value as T;
}

export interface Proven<T> { record: T; claim: Claim }

export async function provenDocument(item: DocumentItem): Promise<Proven<DocumentRecord>> {
  const proven = await stateRecord<DocumentRecord>('documents', hex('d') + item.id);
  if (!proven) throw new NotProven('the state holds no such document');
  const { record } = proven;
  same('id', item.id, record.id);
  same('number', item.number, record.sequence);
  same('category', item.category, record.category);
  same('category number', item.category_number, record.category_sequence);
  same('issuer', item.issuer, record.issuer);
  same('issuer number', item.issuer_number, record.issuer_sequence);
  same('schema', item.schema, record.schema);
  same('created', item.created.height, record.created.height);
  same('time', item.created.time_ms, record.created.time_ms);
  return proven;
}

export async function provenVersion(id: string, version: number): Promise<Proven<VersionRecord>> {
  const proven = await stateRecord<VersionRecord>('documents', hex('v') + id + four(version));
  if (!proven) throw new NotProven(`the state holds no version ${version} of ${id}`);
  same('version', version, proven.record.version);
  return proven;
}

export const provenErasure = (id: string): Promise<Proven<Erasure> | null> => stateRecord<Erasure>('documents', hex('e') + id);

export const erasureProgress = (id: string): Promise<ErasureProgress> => ask<ErasureProgress>(`/documents/${id}/erasure/progress`);

/** Member by member: after the order out of the proven record, by the time of the proven block; before it, who is entitled. */
export function erasureRows(proven: { record: Erasure; claim: { time_ms: number } } | null, said: ErasureProgress | null): ErasureRow[] {
  const record = proven?.record;
  if (!proven || !record?.ordered) return (said?.members ?? []).map(({ member, standing }) => ({ member, standing, late: false }));
  const over = record.closed !== null || record.deadline_ms <= proven.claim.time_ms;
  return record.holders.map((member) => {
    const at = record.attestations.find((of) => of.member === member)?.at;
    return { member, standing: at ? 'attested' : over ? 'overdue' : 'outstanding', at, late: at !== undefined && at.time_ms > record.deadline_ms };
  });
}

const eight = (value: number): string => value.toString(16).padStart(16, '0');

export async function provenDispute(shown: Dispute): Promise<Proven<Dispute>> {
  const proven = await stateRecord<Dispute>('documents', hex('x') + eight(shown.id));
  if (!proven) throw new NotProven(`the state holds no dispute ${shown.id}`);
  same('document', shown.document, proven.record.document);
  same('arbiter', shown.arbiter, proven.record.arbiter);
  same('claim', shown.claim, proven.record.claim);
  return proven;
}

/** A step of a chain of evidence stands in the version that names the other document. */
export async function checkEdge(edge: Provenance['edges'][number]): Promise<void> {
  const { record } = await provenVersion(edge.from, edge.from_version);
  const found = record.content.references.some((to) => to.id === edge.to && to.version === edge.to_version && to.name === edge.name);
  if (!found) throw new NotProven(`version ${edge.from_version} of ${edge.from} does not name ${edge.to}`);
}
