// A transaction of whoever is signed in: signed by the reader, submitted, final, its receipt proven here.
import { answerOf, ask, send } from './api';
import { Failed } from './failed';
import { pin } from './pin.svelte';
import { bytesOf } from './reader';
import { session } from './session.svelte';
import { checkReceipt } from './trust';
import type { Params, TransactionStatus, TransactionView } from './types';
import { NotProven } from './verifier';

const WAIT_MS = 20_000;
const PATIENCE_MS = 60_000;
const PARAMS_MS = 3_000;

export interface Signed { id: string; raw: string; content?: string | null }

let known: { params: Params; at: number } | null = null;
async function params(): Promise<Params> {
  if (!known || Date.now() - known.at > PARAMS_MS) known = { params: await ask<Params>('/params'), at: Date.now() };
  return known.params;
}

/** Each call of the reader signs one kind of thing and refuses what is none. */
export async function sign(call: 'sign_uplink' | 'sign_decision', what: object): Promise<Signed> {
  const { head, expiry_window } = await params();
  const salt = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  const wanted = { chain: pin.pinned?.chain, expiry: head + Math.max(1, Math.floor(expiry_window / 2)), salt, ...what };
  return session.reader().json(call, [bytesOf(JSON.stringify(wanted))]);
}

export async function submit(raw: string): Promise<void> {
  await answerOf(await send('/transactions', { method: 'POST', body: JSON.stringify({ transaction: raw }) }));
}

/** Waits until it is final and proves its receipt. Throws [`Failed`] when it failed. */
export async function final(id: string): Promise<TransactionView> {
  const begun = Date.now();
  for (;;) {
    const status = await ask<TransactionStatus>(`/transactions/${id}?wait_ms=${WAIT_MS}`);
    if (status.status === 'final' && status.transaction) return proven(id, status.transaction);
    if (Date.now() - begun > PATIENCE_MS) throw new Failed('tx.not_final', id);
  }
}

async function proven(id: string, tx: TransactionView): Promise<TransactionView> {
  if (tx.id !== id) throw new NotProven(`the node answers about ${tx.id} instead of ${id}`);
  await checkReceipt(tx);
  if (tx.receipt.outcome !== 'success') throw new Failed(tx.receipt.code ?? 'failed', tx.receipt.message ?? '');
  return tx;
}
