// What of the shown is proven here: header and certificate of blocks, place and content of transactions, receipts and events.
import { ask } from './api';
import { pin } from './pin.svelte';
import type { BlockDetail, BlockSummary, EventView, TransactionView } from './types';
import { fromHex, NotProven, verifyBlock, verifyProof, type Claim, type Signed } from './verifier';

/** The kernel's parameters are in every state, so a proof of them leads to the validator sets of any head. */
const ANCHOR = '/contracts/system/state/706172616d73?proof=true';

export type Trust = { state: 'checking' | 'ok' | 'bad' | 'unchecked' | 'unable'; detail?: string };

/** A proof that does not hold is the node's fault; whatever else went wrong says nothing about the node. */
export function trustOf(error: unknown): Trust {
  return { state: error instanceof NotProven ? 'bad' : 'unable', detail: (error as Error).message };
}

let anchor: { chain: string; height: number; proof: Uint8Array } | null = null;
let asking: Promise<void> | null = null;

function chain(): string {
  const pinned = pin.pinned?.chain;
  if (!pinned) throw new NotProven('no chain is pinned');
  return pinned;
}

async function refreshAnchor(): Promise<void> {
  const wanted = chain();
  const answer = await ask<{ proof?: string | null }>(ANCHOR);
  if (!answer.proof) throw new NotProven('the node gave no proof');
  const proof = fromHex(answer.proof);
  const claim = await verifyProof(wanted, proof);
  anchor = { chain: wanted, height: claim.height, proof };
}

async function anchorFor(height: number): Promise<Uint8Array> {
  for (let turn = 0; turn < 2; turn += 1) {
    if (anchor && anchor.chain === chain() && anchor.height >= height) return anchor.proof;
    asking ??= refreshAnchor().finally(() => { asking = null; });
    await asking;
  }
  if (!anchor || anchor.height < height) throw new NotProven(`no proof leads to the validators of block ${height}`);
  return anchor.proof;
}

export function same(what: string, shown: unknown, proven: unknown) {
  if (shown !== proven) throw new NotProven(`${what}: the node says ${String(shown)}, proven is ${String(proven)}`);
}

const hexOf = (text: string): string => [...new TextEncoder().encode(text)].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/** A record of a contract's state with its proof, read by the verifier; null where nothing stands under the key. */
export async function stateRecord<T>(contract: string, key: string): Promise<{ record: T; claim: Claim } | null> {
  const answer = await ask<{ value?: string | null; proof?: string | null }>(`/contracts/${contract}/state/${key}?proof=true`);
  if (!answer.value) return null;
  if (!answer.proof) throw new Error('the node gave no proof');
  const claim = await verifyProof(chain(), fromHex(answer.proof));
  same('key', `${hexOf(contract)}00${key}`, claim.fact.key);
  same('value', answer.value, claim.fact.value);
  if (!claim.fact.record) throw new Error('the verifier cannot read this record');
  return { record: claim.fact.record as T, claim };
}

export async function checkBlock(block: BlockDetail, shown: BlockSummary = block.summary): Promise<Signed> {
  const signed = await verifyBlock(chain(), await anchorFor(block.header.height), block);
  same('height', shown.height, signed.height);
  same('hash', shown.hash, signed.block);
  same('time', shown.time, signed.time_ms);
  same('proposer', shown.proposer, block.header.proposer);
  same('state root', shown.state_root, block.header.state_root);
  return signed;
}

/** Asks for a block and checks that a row of a list says of it what was signed. */
export async function checkRow(row: BlockSummary): Promise<Signed> {
  return checkBlock(await ask<BlockDetail>(`/blocks/${row.height}`), row);
}

async function proofOf(id: string, claim: string, index?: number): Promise<Claim> {
  const part = index === undefined ? '' : `&index=${index}`;
  const answer = await ask<{ proof: string }>(`/transactions/${id}/proof?claim=${claim}${part}`);
  return verifyProof(chain(), fromHex(answer.proof));
}

function samePlace(tx: TransactionView, claim: Claim) {
  same('transaction', tx.id, claim.fact.tx);
  same('height', tx.height, claim.height);
  same('block', tx.block, claim.block);
  same('time', tx.time, claim.time_ms);
}

export async function checkTransaction(tx: TransactionView): Promise<Claim> {
  const claim = await proofOf(tx.id, 'transaction');
  samePlace(tx, claim);
  same('position', tx.index, claim.fact.index);
  same('expiry', tx.expiry, claim.fact.expiry);
  same('size', tx.bytes, claim.fact.bytes);
  same('number of calls', tx.calls.length, claim.fact.calls?.length);
  tx.calls.forEach((call, i) => {
    const proven = claim.fact.calls?.[i];
    same(`calls[${i}].contract`, call.contract, proven?.contract);
    same(`calls[${i}].method`, call.method, proven?.method);
    same(`calls[${i}].arguments`, call.arguments, proven?.arguments);
  });
  return claim;
}

export async function checkReceipt(tx: TransactionView): Promise<Claim> {
  const claim = await proofOf(tx.id, 'receipt');
  samePlace(tx, claim);
  same('outcome', tx.receipt.outcome, claim.fact.outcome);
  same('code', tx.receipt.code ?? null, claim.fact.code ?? null);
  same('fuel', tx.receipt.fuel_used, claim.fact.fuel_used);
  same('output', tx.receipt.output_hash, claim.fact.output_hash);
  same('events', tx.receipt.events_root, claim.fact.events_root);
  return claim;
}

export async function checkEvent(tx: Pick<TransactionView, 'id'>, event: EventView): Promise<Claim> {
  const claim = await proofOf(tx.id, 'event', event.index);
  same('transaction', tx.id, claim.fact.tx);
  same('event', event.index, claim.fact.index);
  same('contract', event.contract, claim.fact.contract);
  same('name', event.name, claim.fact.name);
  same('data', event.data, claim.fact.data);
  return claim;
}
