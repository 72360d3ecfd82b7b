// What goes on: one event stream for all pages, resumed where it broke off, and the node's condition now and then.
import { ask, problemOf } from './api';
import type { BlockSummary, EventView, NodeStatus, Page, TransactionView } from './types';

const BLOCKS_MAX = 120;
const TRANSACTIONS_MAX = 200;
const DOCUMENTS_MAX = 500;
const FLUSH_MS = 200;
const STATUS_MS = 10_000;
const RETRY_MS = 3_000;

class Live {
  /** Newest first. */
  blocks = $state.raw<BlockSummary[]>([]);
  transactions = $state.raw<TransactionView[]>([]);
  /** Documents whose first version came over the stream, newest first. */
  documents = $state.raw<{ height: number; category: string }[]>([]);
  head = $state(0);
  status = $state.raw<NodeStatus | null>(null);
  stream = $state<'connecting' | 'live' | 'retrying'>('connecting');
  unreachable = $state('');
  now = $state(Date.now());

  #source: EventSource | null = null;
  #cursor = '';
  #newBlocks: BlockSummary[] = [];
  #newTransactions: TransactionView[] = [];
  #retry: ReturnType<typeof setTimeout> | undefined;

  start() {
    setInterval(() => { this.now = Date.now(); }, 1000);
    setInterval(() => this.#flush(), FLUSH_MS);
    setInterval(() => { if (!document.hidden) void this.refresh(); }, STATUS_MS);
    addEventListener('visibilitychange', () => { if (!document.hidden) this.#wake(); });
    addEventListener('online', () => this.#wake());
    void this.#begin();
  }

  /** Milliseconds between the last blocks that stood in the window; null before there are two. */
  interval(): number | null {
    const [first] = this.blocks;
    const last = this.blocks[Math.min(10, this.blocks.length - 1)];
    return first && last && first.height > last.height ? (first.time - last.time) / (first.height - last.height) : null;
  }

  async refresh() {
    try {
      this.status = await ask<NodeStatus>('/status');
      this.unreachable = '';
    } catch (error) {
      this.unreachable = problemOf(error).code;
    }
  }

  async #begin() {
    try {
      await this.refresh();
      const page = await ask<Page<BlockSummary>>('/blocks?limit=60');
      this.blocks = page.items;
      this.head = page.head;
      this.#cursor = `${page.items[0]?.height ?? 0}-9999999`;
      void this.#recent(page.items);
      this.#open();
    } catch (error) {
      this.unreachable = problemOf(error).code;
      this.stream = 'retrying';
      this.#later(() => void this.#begin());
    }
  }

  async #recent(blocks: BlockSummary[]) {
    const found: TransactionView[] = [];
    for (const block of blocks.filter((b) => b.transactions > 0).slice(0, 8)) {
      try {
        const page = await ask<Page<TransactionView>>(`/blocks/${block.height}/transactions?limit=50`);
        found.push(...page.items.reverse());
      } catch {
        break;
      }
      if (found.length >= 50) break;
    }
    const known = new Set(this.transactions.map((tx) => tx.id));
    this.transactions = [...this.transactions, ...found.filter((tx) => !known.has(tx.id))].slice(0, TRANSACTIONS_MAX);
  }

  #wake() {
    void this.refresh();
    if (!this.#source || this.#source.readyState === EventSource.CLOSED) this.#open();
  }

  #later(then: () => void) {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(then, RETRY_MS);
  }

  #open() {
    this.#source?.close();
    const source = new EventSource(`/api/v1/events?after=${encodeURIComponent(this.#cursor)}`);
    this.#source = source;
    source.onopen = () => { this.stream = 'live'; };
    source.onerror = () => {
      this.stream = 'retrying';
      void this.refresh();
      // A browser gives up on an answer that is no stream; the place to go on from is known here.
      if (source.readyState === EventSource.CLOSED) this.#later(() => this.#open());
    };
    source.addEventListener('block', (event) => {
      this.#cursor = event.lastEventId || this.#cursor;
      this.#newBlocks.push(JSON.parse(event.data) as BlockSummary);
    });
    source.addEventListener('transaction', (event) => {
      this.#cursor = event.lastEventId || this.#cursor;
      this.#newTransactions.push(JSON.parse(event.data) as TransactionView);
    });
    source.addEventListener('event', (event) => {
      this.#cursor = event.lastEventId || this.#cursor;
      this.#said(JSON.parse(event.data) as EventView & { height: number });
    });
    source.addEventListener('end', () => {
      source.close();
      this.stream = 'retrying';
      this.#later(() => this.#open());
    });
  }

  #said(event: EventView & { height: number }) {
    const fields = event.fields as { version?: number; category?: string } | undefined;
    if (event.contract !== 'documents' || event.name !== 'Submitted' || Number(fields?.version) !== 1) return;
    this.documents = [{ height: event.height, category: fields?.category ?? '' }, ...this.documents].slice(0, DOCUMENTS_MAX);
  }

  #flush() {
    if (this.#newTransactions.length) {
      const known = new Set(this.transactions.slice(0, 50).map((tx) => tx.id));
      const fresh = this.#newTransactions.splice(0).filter((tx) => !known.has(tx.id)).reverse();
      this.transactions = [...fresh, ...this.transactions].slice(0, TRANSACTIONS_MAX);
    }
    if (!this.#newBlocks.length) return;
    const above = this.blocks[0]?.height ?? 0;
    const fresh = this.#newBlocks.splice(0).filter((block) => block.height > above).reverse();
    if (!fresh.length) return;
    this.blocks = [...fresh, ...this.blocks].slice(0, BLOCKS_MAX);
    this.head = Math.max(this.head, fresh[0]?.height ?? 0);
  }
}

export const live = new Live();
