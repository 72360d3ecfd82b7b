// From a digest to the registration in the contract notary, and from there to the block that holds it.
import { ask } from './api';
import { checkEvent } from './trust';
import type { EventView, Page, TransactionView } from './types';
import { NotProven, type Claim } from './verifier';

interface Moment { height: number; time_ms: number }
export interface Registration { member: string; category: string; standing: string; registered: Moment; reference?: string | null }
export interface Found { digest: string; record: Registration; tx: string; claim: Claim }

/** The first of these digests that is registered, proven; null when none is. */
export async function lookUp(digests: string[]): Promise<Found | null> {
  for (const digest of digests) {
    const body = JSON.stringify({ arguments: { commitment: digest } });
    const answer = await ask<{ value?: Registration | null }>('/contracts/notary/query/get', { body });
    if (answer.value) return prove(digest, answer.value);
  }
  return null;
}

async function prove(digest: string, record: Registration): Promise<Found> {
  for (let after = ''; ;) {
    const from = after ? `&after=${encodeURIComponent(after)}` : '';
    const page = await ask<Page<TransactionView>>(`/blocks/${record.registered.height}/transactions?limit=500${from}`);
    for (const tx of page.items) {
      const event = tx.events.find((found) => isRegistration(found, digest));
      if (!event) continue;
      const claim = await checkEvent(tx, event);
      if (claim.height !== record.registered.height || claim.time_ms !== record.registered.time_ms) {
        throw new NotProven(`registered: the node says height ${record.registered.height}, proven is ${claim.height}`);
      }
      return { digest, record, tx: tx.id, claim };
    }
    if (!page.next) throw new NotProven(`the node says that ${digest} was registered at height ${record.registered.height}, where no transaction did so`);
    after = page.next;
  }
}

/** The event's bytes begin with the commitment. */
const isRegistration = (event: EventView, digest: string): boolean =>
  event.contract === 'notary' && event.name === 'Registered' && event.data.startsWith(digest);
