// What a search finds, and the page it leads to.
import type { SearchHit } from './documents';

export type Hit = SearchHit | { kind: 'contract' | 'member' | 'digest'; name: string };

/** Numbers of identity cards, telephones and bank cards are not searched for and do not enter the address. */
export const isPersonal = (what: string): boolean => /^\d{17}[\dXx]$/.test(what) || /^1[3-9]\d{9}$/.test(what) || /^\d{16,19}$/.test(what);

export function hitAddress(hit: Hit): string {
  switch (hit.kind) {
    case 'document': return `/documents/${hit.document.id}`;
    case 'transaction': return `/transactions/${hit.id}`;
    case 'block': return `/blocks/${hit.height}`;
    case 'contract': return `/contracts/${hit.name}`;
    case 'member': return `/members?name=${encodeURIComponent(hit.name)}`;
    case 'digest': return `/verify?digest=${hit.name}`;
  }
}
