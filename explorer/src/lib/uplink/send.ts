// One row on its way: sealed, staged at the own node, signed, submitted, final, its receipt proven here.
import { ask } from '../api';
import { provenVersion } from '../documents';
import { codeOf } from '../failed';
import { session } from '../session.svelte';
import { final, sign, submit } from '../transaction';
import { NotProven } from '../verifier';
import type { Engine } from './engine';
import type { Receipt, Row, Sealed } from './types';
import { verdictOf } from './verdict';

const ATTEMPTS_MAX = 8;
const PAUSE_MS = 500;

export type Ended =
  | { how: 'sent'; receipt: Receipt }
  | { how: 'already'; receipt: Receipt }
  | { how: 'refused'; code: string; text: string }
  | { how: 'early'; code: string; text: string }
  | { how: 'changed' }
  | { how: 'left' };

const pause = (ms: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, ms); });

/** Whether a document of this id is on the chain with this content, by its state; null when there is none. */
async function isThere(row: Row, root: string): Promise<{ same: boolean; receipt: Receipt } | null> {
  try {
    const { record } = await provenVersion(row.id, 1);
    const { submitted, content } = record;
    return { same: content.root === root, receipt: { place: row.place, id: row.id, tx: null, height: submitted.height, time: submitted.time_ms } };
  } catch (error) {
    if (error instanceof NotProven && /holds no version/.test(error.message)) return null;
    throw error;
  }
}

async function once(row: Row, sealed: Sealed): Promise<Receipt> {
  await session.askOctets(`/documents/stage?root=${sealed.root}`, sealed.delivery);
  const { id, raw } = await sign('sign_uplink', { calls: sealed.calls });
  await submit(raw);
  const tx = await final(id);
  return { place: row.place, id: row.id, tx: id, height: tx.height, time: tx.time };
}

async function isRegistered(alias: string): Promise<boolean> {
  const answer = await ask<{ value?: unknown }>('/contracts/relations/query/subject', { body: JSON.stringify({ arguments: { alias } }) });
  return answer.value !== undefined && answer.value !== null;
}

/** Sends a row until it is final or refused. What can be tried again is, and a row that is there is found to be. */
export async function sendRow(engine: Engine, row: Row, isStopped: () => boolean): Promise<Ended> {
  let registered: string[] = [];
  for (let attempt = 0; ; attempt += 1) {
    if (isStopped()) return { how: 'left' };
    let caught: unknown;
    try {
      const sealed = await engine.seal(row, registered);
      try {
        return { how: 'sent', receipt: await once(row, sealed) };
      } catch (error) {
        if (error instanceof NotProven) throw error;
        caught = error;
        if (verdictOf(error) === 'taken') {
          const there = await isThere(row, sealed.root);
          if (there) return there.same ? { how: 'already', receipt: there.receipt } : { how: 'changed' };
          // Another content waits at the node under this id, and its transaction never came.
          if (codeOf(error).code === 'stage.taken') return { how: 'changed' };
        } else if (verdictOf(error) === 'registered') {
          const all = await Promise.all(sealed.register.map(async (alias) => ((await isRegistered(alias)) ? [alias] : [])));
          registered = [...registered, ...all.flat()];
        }
      }
    } catch (error) {
      if (error instanceof NotProven) throw error;
      caught = error;
    }
    const [verdict, { code, text }] = [verdictOf(caught), codeOf(caught)];
    if (verdict === 'early') return { how: 'early', code, text };
    if (verdict === 'content') return { how: 'refused', code, text };
    if (verdict === 'fatal' || attempt + 1 >= ATTEMPTS_MAX) throw caught;
    await pause(PAUSE_MS * 2 ** Math.min(attempt, 5));
  }
}
