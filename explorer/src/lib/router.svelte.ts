// Which page is shown: the address bar decides, nothing else.

export interface Route { name: string; params: Record<string, string> }

const ROUTES: [RegExp, string, string[]][] = [
  [/^\/$/, 'home', []],
  [/^\/blocks$/, 'blocks', []],
  [/^\/blocks\/(\d{1,15}|latest)$/, 'block', ['height']],
  [/^\/transactions$/, 'transactions', []],
  [/^\/transactions\/([0-9a-f]{64})$/, 'transaction', ['id']],
  [/^\/members$/, 'members', []],
  [/^\/nodes$/, 'nodes', []],
  [/^\/contracts$/, 'contracts', []],
  [/^\/contracts\/([a-z][a-z0-9._-]{0,31})$/, 'contract', ['name']],
  [/^\/governance$/, 'governance', []],
  [/^\/governance\/(\d{1,15})$/, 'proposal', ['id']],
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

class Router {
  path = $state(location.pathname);
  query = $state(new URLSearchParams(location.search));
  route = $derived(match(this.path));

  constructor() {
    addEventListener('popstate', () => this.#read());
    document.addEventListener('click', (event) => {
      if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      const link = (event.target as Element | null)?.closest?.('a');
      if (!link || link.target || link.hasAttribute('download') || link.origin !== location.origin) return;
      if (link.pathname.startsWith('/api/') || (link.hash && link.pathname === location.pathname)) return;
      event.preventDefault();
      this.go(link.pathname + link.search);
    });
  }

  #read() {
    this.path = location.pathname;
    this.query = new URLSearchParams(location.search);
  }

  go(to: string) {
    if (to !== location.pathname + location.search) history.pushState(null, '', to);
    this.#read();
    scrollTo(0, 0);
    document.getElementById('main')?.focus({ preventScroll: true });
  }

  /** Changes one parameter of the query without a step in the history. */
  set(name: string, value: string) {
    const query = new URLSearchParams(location.search);
    if (value) query.set(name, value);
    else query.delete(name);
    const text = query.toString();
    history.replaceState(null, '', location.pathname + (text ? `?${text}` : ''));
    this.#read();
  }
}

export const router = new Router();
