// Which page is shown: the address bar decides, nothing else.

import { match } from './routes';

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

  /** Another filter: the list begins anew, and the step can be taken back. */
  filter(name: string, value: string) {
    const query = new URLSearchParams(location.search);
    query.delete('after');
    if (value) query.set(name, value);
    else query.delete(name);
    const text = query.toString();
    history.pushState(null, '', location.pathname + (text ? `?${text}` : ''));
    this.#read();
  }

  /** The address of this page with another value of one parameter. */
  with(name: string, value: string): string {
    const query = new URLSearchParams(this.query);
    if (value) query.set(name, value);
    else query.delete(name);
    const text = query.toString();
    return this.path + (text ? `?${text}` : '');
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
