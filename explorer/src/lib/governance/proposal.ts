// Proposals: what the state holds of one, who may vote on it, what a ballot would bring about.
import { ask } from '../api';
import { same, stateRecord } from '../trust';
import type { Member, Page, ProposalDetail, Tally, Title } from '../types';
import { NotProven } from '../verifier';

/** How often a page that is overtaken by ballots is read again before it counts as false. */
const READS_MAX = 3;

/** An action as the verifier reads it; without a title where another contract than the kernel is called. */
export interface Action {
  contract: string; method: string; arguments: string; value: unknown; title: Title | null; fields: { name: string; title: Title }[] | null;
}
type ProposalRecord = Omit<ProposalDetail, 'tally' | 'actions'>;
export interface Proven { proposal: ProposalDetail; actions: Action[]; height: number; time: number }

const hex = (text: string): string => [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
const eight = (value: number): string => value.toString(16).padStart(16, '0');
const ballots = (of: Pick<ProposalDetail, 'ballots'>): string => of.ballots.map(({ account, member, approve, height }) => `${account} ${member} ${approve} ${height}`).join();

/** What no ballot changes. */
const FIXED = ['id', 'kind', 'title', 'content', 'proposer', 'proposer_member', 'created', 'created_at', 'deadline'] as const;

/** Whether the node says of state and ballots what the proof does. A ballot may have come in between. */
export function agrees(said: ProposalDetail, record: ProposalRecord, time: number): boolean {
  const state = record.state === 'open' && time > record.deadline ? 'expired' : record.state;
  return said.state === state && (said.closed ?? null) === (record.closed ?? null) && ballots(said) === ballots(record)
    && (said.failure?.code ?? null) === (record.failure?.code ?? null) && (said.failure?.message ?? null) === (record.failure?.message ?? null);
}

async function record<T>(kind: string, id: number) {
  const found = await stateRecord<T>('system', hex(`${kind}/`) + eight(id));
  if (!found) throw new NotProven(`the state holds no proposal ${id}`);
  return found;
}

export const proposal = (id: string): Promise<ProposalDetail> => ask<ProposalDetail>(`/proposals/${id}`);

/** The proposal as the state holds it, with what it does, all of it out of proven values. Only the tally is the node’s word. */
export async function prove(said: ProposalDetail): Promise<Proven> {
  const { record: actions } = await record<Action[]>('proposal-actions', said.id);
  same('number of actions', said.actions.length, actions.length);
  said.actions.forEach((action, i) => {
    same(`actions[${i}].contract`, action.contract, actions[i]?.contract);
    same(`actions[${i}].method`, action.method, actions[i]?.method);
    same(`actions[${i}].arguments`, action.arguments, actions[i]?.arguments);
  });
  for (let read = 1; ; read += 1) {
    const found = await record<ProposalRecord>('proposal', said.id);
    for (const name of FIXED) same(name, said[name], found.record[name]);
    same('member', said.member ?? null, found.record.member ?? null);
    if (agrees(said, found.record, found.claim.time_ms)) return { proposal: said, actions, height: found.claim.height, time: found.claim.time_ms };
    if (read >= READS_MAX) throw new NotProven(`state and ballots: the node says ${said.state} ${ballots(said)}, proven is ${found.record.state} ${ballots(found.record)}`);
    said = await proposal(String(said.id));
  }
}

export const members = async (): Promise<Member[]> => (await ask<Page<Member>>('/members')).items;

/** Whether somebody may vote, and as whom; else why not. */
export type Voice =
  | { may: false; why: 'signed_out' | 'no_admin' | 'other_member' | 'inactive'; member: string }
  | { may: true; member: string; threshold: number; administrators: number; mine: boolean | null; for: number; against: number };

export function voiceOf(of: Pick<ProposalDetail, 'kind' | 'member' | 'ballots'>, all: Member[], key: string, account: string): Voice {
  const own = key ? all.find((member) => member.admin_keys.includes(key)) : undefined;
  if (!own) return { may: false, why: key ? 'no_admin' : 'signed_out', member: of.member ?? '' };
  if (!own.active) return { may: false, why: 'inactive', member: own.name };
  if (of.kind === 'member' && of.member !== own.name) return { may: false, why: 'other_member', member: of.member ?? '' };
  const cast = (approve: boolean) => of.ballots.filter((ballot) => ballot.member === own.name && ballot.approve === approve).length;
  const mine = of.ballots.find((ballot) => ballot.account === account)?.approve ?? null;
  return { may: true, member: own.name, threshold: own.admin_threshold, administrators: own.admin_keys.length, mine, for: cast(true), against: cast(false) };
}

export type Outcome = 'open' | 'passes' | 'lost';

/** How it would stand with one more ballot, or with another than before. By the members that the node tells of. */
export function withBallot(of: { kind: string; tally: Tally }, voice: Extract<Voice, { may: true }>, approve: boolean): { tally: Tally; counts: boolean; outcome: Outcome } {
  const side = (yes: number, no: number) => (yes >= voice.threshold ? 1 : no >= voice.threshold ? -1 : 0);
  const without = { yes: voice.for - (voice.mine === true ? 1 : 0), no: voice.against - (voice.mine === false ? 1 : 0) };
  const then = { yes: without.yes + (approve ? 1 : 0), no: without.no + (approve ? 0 : 1) };
  const isOwn = of.kind === 'member';
  const [before, after] = [side(voice.for, voice.against), side(then.yes, then.no)];
  const tally = {
    ...of.tally,
    approving: of.tally.approving + (isOwn ? then.yes - voice.for : Number(after === 1) - Number(before === 1)),
    rejecting: of.tally.rejecting + (isOwn ? then.no - voice.against : Number(after === -1) - Number(before === -1)),
  };
  const outcome = tally.approving >= tally.needed ? 'passes' : tally.entitled - tally.rejecting < tally.needed ? 'lost' : 'open';
  return { tally, counts: isOwn || after === (approve ? 1 : -1), outcome };
}

/** Whether whoever is signed in may take the proposal back: the proposer, or an administrator whose signature is enough. */
export function mayWithdraw(of: Pick<ProposalDetail, 'state' | 'proposer' | 'proposer_member'>, all: Member[], key: string, account: string): boolean {
  if (of.state !== 'open' || !key) return false;
  const member = all.find((one) => one.name === of.proposer_member);
  return of.proposer === account || (!!member?.active && member.admin_threshold === 1 && member.admin_keys.includes(key));
}
