// A decision from its choice to its proven receipt: shown first, signed once, sent, final. What was sent is not signed again.
import { ask, problemOf } from '../api';
import { codeOf, Failed, isPassing } from '../failed';
import { final, sign, submit } from '../transaction';
import type { Problem, TransactionStatus, TransactionView } from '../types';
import { NotProven } from '../verifier';

export interface WantedAction { contract: string; method: string; arguments: unknown }
export interface Content { kind: string; member: string | null; title: string; deadline: number; actions: WantedAction[] }
export type Decision =
  | { vote: { proposal: number; content: Content; approve: boolean } }
  | { withdraw: { proposal: number } }
  | { propose: { content: Content } };
/** Lost: it was sent, and nobody knows yet what became of it. */
export type Phase = 'choosing' | 'confirming' | 'signing' | 'waiting' | 'final' | 'refused' | 'lost';

/** What a node says of a transaction that it has already. */
const KNOWN = ['mempool.known', 'tx.replayed'];

export class Deciding {
  phase = $state<Phase>('choosing');
  decision = $state.raw<Decision | null>(null);
  id = $state('');
  tx = $state.raw<TransactionView | null>(null);
  problem = $state.raw<Problem | null>(null);
  /** The contract refused it: its code and what it said. */
  refusal = $state.raw<{ code: string; message: string } | null>(null);
  lie = $state('');

  #raw = '';
  #expected = '';

  isBusy = $derived(this.phase === 'signing' || this.phase === 'waiting');

  /** Nothing is signed yet. `expected` is the hash that the shown content must have. */
  choose(decision: Decision, expected = '') {
    if (this.isBusy || this.phase === 'lost') return;
    this.#clear();
    [this.decision, this.#expected, this.phase] = [decision, expected, 'confirming'];
  }

  back() {
    if (this.isBusy || this.phase === 'lost') return;
    this.#clear();
    this.phase = 'choosing';
  }

  #clear() {
    [this.decision, this.id, this.tx, this.problem, this.refusal, this.lie, this.#raw, this.#expected] = [null, '', null, null, null, '', '', ''];
  }

  async sign(): Promise<void> {
    if (this.phase !== 'confirming' || !this.decision) return;
    this.phase = 'signing';
    try {
      const signed = await sign('sign_decision', { decision: this.decision });
      if (this.#expected && signed.content !== this.#expected) throw new NotProven(`content: the node says ${this.#expected}, computed is ${signed.content}`);
      [this.id, this.#raw] = [signed.id, signed.raw];
    } catch (error) {
      this.#refuse(error);
      return;
    }
    await this.#follow();
  }

  /** Looks again what became of it. What the node does not know is sent again: the same transaction, which counts once. */
  async again(): Promise<void> {
    if (this.phase === 'lost') await this.#follow();
  }

  async #follow(): Promise<void> {
    const isAgain = this.phase === 'lost';
    [this.phase, this.problem] = ['waiting', null];
    try {
      const there = isAgain ? await ask<TransactionStatus>(`/transactions/${this.id}`) : null;
      if (!there || there.status === 'unknown') await this.#submit();
      this.tx = await final(this.id);
      this.phase = 'final';
    } catch (error) {
      if (isPassing(error)) [this.phase, this.problem] = ['lost', error instanceof Failed ? null : problemOf(error)];
      else this.#refuse(error);
    }
  }

  async #submit(): Promise<void> {
    try {
      await submit(this.#raw);
    } catch (error) {
      if (!KNOWN.includes(codeOf(error).code)) throw error;
    }
  }

  #refuse(error: unknown) {
    this.phase = 'refused';
    if (error instanceof NotProven) this.lie = error.message;
    else if (error instanceof Failed) this.refusal = { code: error.code, message: error.message };
    else this.problem = problemOf(error);
  }
}
