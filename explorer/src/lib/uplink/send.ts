// One row on its way, as a new document or behind a version: sealed, staged at the own node, signed, submitted, final, its receipt
// proven here.
import { ask } from '../api';
import { codeOf } from '../failed';
import { session } from '../session.svelte';
import { final, sign, submit } from '../transaction';
import { NotProven } from '../verifier';
import type { Engine } from './engine';
import { documentOf, thereOf, versionOf } from './there';
import type { Receipt, Row, Sealed, Why } from './types';
import { verdictOf } from './verdict';

export const ATTEMPTS_MAX = 8;
/** Times that a version is handed over while the node may not know the one before yet. */
const BEHIND_MAX = 3;
const PAUSE_MS = 500;

export type Ended =
  | { how: 'sent'; receipt: Receipt }
  | { how: 'already'; receipt: Receipt; noted?: boolean }
  | { how: 'refused'; why: Why }
  | { how: 'early'; why: Why }
  | { how: 'left' };

/** Before the next attempt; doubles. */
export const pause = (attempt: number): Promise<void> => new Promise((resolve) => { setTimeout(resolve, PAUSE_MS * 2 ** Math.min(attempt, 5)); });
const refused = (why: Why): Ended => ({ how: 'refused', why });

/** What the chain has under the number of the version that a row would be: this content, or another; null when nothing. */
async function isThere(row: Row, root: string): Promise<Ended | null> {
  const record = await versionOf(row.id, row.version);
  if (!record) return null;
  if (record.content.root !== root) return refused('moved_on');
  const { height, time_ms } = record.submitted;
  return { how: 'already', receipt: { place: row.place, id: row.id, version: row.version, tx: null, height, time: time_ms } };
}

/** What is known of a version before it is sent: that it is there, or cannot go. */
async function known(engine: Engine, row: Row, root: string): Promise<Ended | null> {
  const ended = await isThere(row, root);
  if (ended) return ended;
  const there = await thereOf(row.id);
  if (!there) return refused('moved_on');
  const hindered = await engine.hindered(there.document, there.latest.state);
  return hindered ? refused({ hindered }) : null;
}

async function once(row: Row, sealed: Sealed): Promise<Receipt> {
  await session.askOctets(`/documents/stage?root=${sealed.root}`, sealed.delivery);
  const { id, raw } = await sign('sign_uplink', { calls: sealed.calls });
  await submit(raw);
  const tx = await final(id);
  return { place: row.place, id: row.id, version: row.version, tx: id, height: tx.height, time: tx.time };
}

async function isRegistered(alias: string): Promise<boolean> {
  const answer = await ask<{ value?: unknown }>('/contracts/relations/query/subject', { body: JSON.stringify({ arguments: { alias } }) });
  return answer.value !== undefined && answer.value !== null;
}

async function registeredOf(aliases: string[]): Promise<string[]> {
  const all = await Promise.all(aliases.map(async (alias) => ((await isRegistered(alias)) ? [alias] : [])));
  return all.flat();
}

/** The versions in force of what a row refers to by number; null when it refers to them already. */
async function inForceOf(open: [string, number][]): Promise<[string, number][] | null> {
  const found = await Promise.all(open.map(async ([id, version]): Promise<[string, number]> => {
    const document = await documentOf(id);
    return [id, document?.effective ?? document?.latest ?? version];
  }));
  return found.some(([, version], i) => version !== open[i]?.[1]) ? found : null;
}

/** Sends a row until it is final or refused. What can be tried again is, and a row that is there is found to be. */
export async function sendRow(engine: Engine, row: Row, isStopped: () => boolean): Promise<Ended> {
  let registered: string[] = [];
  let inForce: [string, number][] = [];
  let isKnown = row.version === 1;
  for (let attempt = 0; ; attempt += 1) {
    if (isStopped()) return { how: 'left' };
    let caught: unknown;
    try {
      let sealed = await engine.seal(row, registered, inForce);
      if (!isKnown) {
        const ended = await known(engine, row, sealed.root);
        if (ended) return ended;
        // Persons of a version before are known as a rule, and a transaction that registers one of them fails as a whole.
        registered = await registeredOf(sealed.register);
        if (registered.length) sealed = await engine.seal(row, registered, inForce);
        isKnown = true;
      }
      try {
        return { how: 'sent', receipt: await once(row, sealed) };
      } catch (error) {
        if (error instanceof NotProven) throw error;
        caught = error;
        const verdict = verdictOf(error);
        if (verdict === 'taken') {
          const ended = await isThere(row, sealed.root);
          if (ended) return ended;
          // Another content waits at the node under this id, and its transaction never came.
          if (codeOf(error).code === 'stage.taken') return refused('staged');
        } else if (verdict === 'registered') {
          registered = [...registered, ...await registeredOf(sealed.register)];
        } else if (verdict === 'early') {
          const other = await inForceOf(sealed.open);
          if (other && attempt + 1 < ATTEMPTS_MAX) {
            inForce = other;
            continue;
          }
        }
      }
    } catch (error) {
      if (error instanceof NotProven) throw error;
      caught = error;
    }
    const [verdict, { code, text }] = [verdictOf(caught), codeOf(caught)];
    if (verdict === 'early') return { how: 'early', why: { refused: [code, text] } };
    // The node may not know the version before yet.
    const isBehind = code === 'stage.header' && row.version > 1 && attempt < BEHIND_MAX;
    if (verdict === 'content' && !isBehind) return refused({ refused: [code, text] });
    if (verdict === 'fatal' || attempt + 1 >= ATTEMPTS_MAX) throw caught;
    await pause(attempt);
  }
}
