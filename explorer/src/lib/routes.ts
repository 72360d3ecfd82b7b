// Which address is which page.

export interface Route { name: string; params: Record<string, string> }

const ROUTES: [RegExp, string, string[]][] = [
  [/^\/$/, 'home', []],
  [/^\/blocks$/, 'blocks', []],
  [/^\/blocks\/(\d{1,15}|latest)$/, 'block', ['height']],
  [/^\/transactions$/, 'transactions', []],
  [/^\/transactions\/([0-9a-f]{64})$/, 'transaction', ['id']],
  [/^\/documents$/, 'documents', []],
  [/^\/documents\/([0-9a-f]{32})$/, 'document', ['id']],
  [/^\/documents\/([0-9a-f]{32})\/provenance$/, 'provenance', ['id']],
  [/^\/documents\/([0-9a-f]{32})\/audit$/, 'readings', ['id']],
  [/^\/audit$/, 'audit', []],
  [/^\/sign-in$/, 'sign-in', []],
  [/^\/uplink$/, 'uplink', []],
  [/^\/disputes$/, 'disputes', []],
  [/^\/statistics$/, 'statistics', []],
  [/^\/operations$/, 'operations', []],
  [/^\/members$/, 'members', []],
  [/^\/nodes$/, 'nodes', []],
  [/^\/contracts$/, 'contracts', []],
  [/^\/contracts\/([a-z][a-z0-9._-]{0,31})$/, 'contract', ['name']],
  [/^\/governance$/, 'governance', []],
  [/^\/governance\/(\d{1,15})$/, 'proposal', ['id']],
  [/^\/governance\/new$/, 'propose', []],
  [/^\/verify$/, 'verify', []],
  [/^\/interface$/, 'interface', []],
];

export function match(path: string): Route {
  const clean = path.length > 1 ? path.replace(/\/+$/, '') : path;
  for (const [pattern, name, keys] of ROUTES) {
    const found = pattern.exec(clean);
    if (found) return { name, params: Object.fromEntries(keys.map((key, i) => [key, found[i + 1] ?? ''])) };
  }
  return { name: 'missing', params: {} };
}
