// The search box: what the index finds, and names of contracts and members.
import { ask } from './api';
import type { SearchHit } from './documents';
import { count, short } from './format';
import { hitAddress, type Hit } from './hits';
import { word } from './i18n.svelte';
import { live } from './live.svelte';
import type { TransactionStatus } from './types';

const HITS_MAX = 20;

export function hitText(hit: Hit): string {
  switch (hit.kind) {
    case 'document': {
      const d = hit.document;
      const found = hit.text ? ` · ${hit.text.field}: ${hit.text.value}` : '';
      return `№ ${count(d.number)} · ${word(d.category)} · ${d.schema} · ${d.issuer}${found}`;
    }
    case 'transaction': return short(hit.id);
    case 'block': return `#${count(hit.height)} · ${short(hit.hash)}`;
    case 'digest': return short(hit.name);
    default: return hit.name;
  }
}

async function named(what: string): Promise<Hit[]> {
  const name = what.toLowerCase();
  const contracts = await ask<{ items: { name: string }[] }>('/contracts?limit=1000').catch(() => ({ items: [] }));
  const members = await ask<{ items: { name: string; title?: string | null }[] }>('/members').catch(() => ({ items: [] }));
  return [
    ...contracts.items.filter((c) => c.name === name).map((c): Hit => ({ kind: 'contract', name: c.name })),
    ...members.items.filter((m) => m.name.toLowerCase() === name || m.title?.toLowerCase().includes(name)).map((m): Hit => ({ kind: 'member', name: m.name })),
  ];
}

/** A whole id: known without an index as well. A digest that nothing has is looked up where files are. */
async function whole(id: string): Promise<Hit[]> {
  const known = await ask<TransactionStatus>(`/transactions/${id}`).catch(() => null);
  if (known && known.status !== 'unknown') return [{ kind: 'transaction', id, height: 0 }];
  const block = live.blocks.find((b) => b.hash === id);
  if (block) return [{ kind: 'block', height: block.height, hash: id }];
  const found = await indexed(id);
  return found.length ? found : [{ kind: 'digest', name: id }];
}

const indexed = (what: string): Promise<Hit[]> =>
  ask<{ hits: SearchHit[] }>(`/search?q=${encodeURIComponent(what)}`).then((found): Hit[] => found.hits).catch(() => []);

export async function find(what: string): Promise<Hit[]> {
  const bare = what.replace(/^0x/, '').toLowerCase();
  if (/^[0-9a-f]{64}$/.test(bare)) return whole(bare);
  const number = what.replaceAll(',', '');
  const isHeight = /^\d{1,15}$/.test(number);
  const found = await indexed(isHeight ? number : what.slice(0, 100));
  if (isHeight && !found.some((hit) => hit.kind === 'block')) found.unshift({ kind: 'block', height: Number(number), hash: '' });
  const all = isHeight ? found : [...(await named(what)), ...found];
  return [...new Map(all.map((hit) => [hitAddress(hit), hit])).values()].slice(0, HITS_MAX);
}
