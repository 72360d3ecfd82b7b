// The chain this browser means: pinned at the first visit, or typed. A node of another chain is not believed.

const KEY = 'vouch.chain';

interface Pinned { chain: string; how: 'first' | 'typed'; at: number }

function stored(): Pinned | null {
  try {
    const value = JSON.parse(localStorage.getItem(KEY) ?? 'null') as Pinned | null;
    return value && /^[0-9a-f]{64}$/.test(value.chain) ? value : null;
  } catch {
    return null;
  }
}

class Pin {
  pinned = $state<Pinned | null>(stored());
  /** What the node said last. */
  told = $state('');
  differs = $derived(!!this.pinned && !!this.told && this.pinned.chain !== this.told);

  saw(chain: string) {
    if (!/^[0-9a-f]{64}$/.test(chain)) return;
    if (this.told !== chain) this.told = chain;
    if (!this.pinned) this.#keep({ chain, how: 'first', at: Date.now() });
  }

  type(chain: string): boolean {
    const clean = chain.trim().toLowerCase();
    if (!/^[0-9a-f]{64}$/.test(clean)) return false;
    this.#keep({ chain: clean, how: 'typed', at: Date.now() });
    return true;
  }

  #keep(value: Pinned) {
    this.pinned = value;
    try {
      localStorage.setItem(KEY, JSON.stringify(value));
    } catch {
      // Without storage the pin lasts as long as the page.
    }
  }
}

export const pin = new Pin();
