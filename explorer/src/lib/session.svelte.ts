// Who is signed in, in this tab only: the key lies in the reader's worker and nowhere else, and ends with the page.
import { ApiProblem, answerOf, ask, send } from './api';
import { pin } from './pin.svelte';
import type { Reader } from './reader';
import type { Account, Member, NodeStatus, Page } from './types';

export const IDLE_MS = 10 * 60_000;
/** So long before the end the page says so. */
const WARNING_MS = 60_000;
const KEY_FILE_BYTES_MAX = 16 << 10;
const USES = ['pointerdown', 'keydown', 'wheel'] as const;

/** An account, a person, or an administrator: whose key is none of an account, and who decides and reads nothing private. */
export interface Caller { account?: Account | null; subject?: string | null; administers?: string; node_member: string }
export interface KeyLook { key: string; account: string; encrypted: boolean }
export type Ending = 'idle' | 'left' | 'asked' | 'failed' | '';

/** Host and port by which this page was reached. */
const authority = (): string => `${location.hostname}:${location.port || (location.protocol === 'https:' ? '443' : '80')}`;
const signedOut = (): ApiProblem => new ApiProblem({ code: 'client.signed_out', status: 401, title: '', detail: '' });
/** Two clocks: one of them may be set back, the other may stand still while the machine sleeps. */
const clocks = (): [number, number] => [Date.now(), performance.now()];

class Session {
  who = $state.raw<Caller | null>(null);
  /** Why it ended last. */
  ended = $state<Ending>('');
  /** Whether it ends soon for lack of use. */
  ending = $state(false);

  /** An account of another member than the node's: it may see what the read audit has for it. */
  foreign = $derived(!!this.who?.account && this.who.account.member !== this.who.node_member);
  /** The account that the key stands for, a person's too, and the public key. */
  actor = '';
  key = '';

  #reader: Reader | null = null;
  /** Each beginning and each end is another: what was begun before it is over. */
  #turn = 0;
  #used = clocks();
  #timer: ReturnType<typeof setInterval> | undefined;
  #atEnd = new Set<() => void>();

  constructor() {
    // A page that is left, put away or frozen keeps no key, whatever is under way.
    addEventListener('pagehide', () => this.#leave());
    document.addEventListener('freeze', () => this.#leave());
    // Timers of a hidden page are slow: it is looked at before anything is shown again.
    document.addEventListener('visibilitychange', () => this.#look());
  }

  /** What a key file says without its password. */
  async look(file: Blob): Promise<KeyLook> {
    if (file.size > KEY_FILE_BYTES_MAX) throw new ApiProblem({ code: 'keystore.malformed', status: 0, title: '', detail: `${file.size} B` });
    const { startReader } = await import('./start-reader');
    const reader = await startReader();
    try {
      return await reader.json<KeyLook>('look', [new Uint8Array(await file.arrayBuffer())]);
    } finally {
      reader.close();
    }
  }

  /** Opens a key file here and asks the node who that is. */
  async signIn(file: Blob, password: string): Promise<void> {
    this.signOut('');
    const turn = this.#turn;
    const [{ startReader }, { bytesOf, withLength }] = await Promise.all([import('./start-reader'), import('./reader')]);
    const [reader, bytes] = await Promise.all([startReader(), file.arrayBuffer()]);
    if (turn !== this.#turn) {
      reader.close();
      throw signedOut();
    }
    this.#reader = reader;
    reader.onbroken = () => { if (this.#reader === reader) this.signOut('failed'); };
    try {
      const opened = await reader.json<{ account: string; key: string }>('unlock', [...withLength(bytesOf(password)), new Uint8Array(bytes)]);
      if (turn !== this.#turn) throw signedOut();
      [this.actor, this.key] = [opened.account, opened.key];
      const who = await this.ask<Caller>('/account').catch((error: unknown) => this.#administrator(error, opened.key));
      if (turn !== this.#turn) throw signedOut();
      this.who = who;
    } catch (error) {
      reader.close();
      if (turn === this.#turn) this.signOut('');
      throw error;
    }
    this.#begin();
  }

  /** The registry has no account for an administrator's key, but the member names it. */
  async #administrator(error: unknown, key: string): Promise<Caller> {
    if (!(error instanceof ApiProblem) || error.problem.code !== 'caller.unknown') throw error;
    const member = (await ask<Page<Member>>('/members')).items.find((one) => one.admin_keys.includes(key));
    if (!member) throw error;
    const { member: node_member } = await ask<NodeStatus>('/status');
    return { account: null, subject: null, administers: member.name, node_member };
  }

  #begin() {
    this.#used = clocks();
    for (const event of USES) addEventListener(event, this.use, { passive: true, capture: true });
    this.#timer = setInterval(() => this.#look(), 1000);
  }

  signOut(why: Ending) {
    this.#turn += 1;
    clearInterval(this.#timer);
    for (const event of USES) removeEventListener(event, this.use, { capture: true });
    this.#reader?.close('signed out');
    this.#reader = null;
    [this.who, this.actor, this.key] = [null, '', ''];
    this.ending = false;
    this.ended = why;
    for (const work of this.#atEnd) work();
    this.#atEnd.clear();
  }

  /** Does something when the session ends, once. */
  atEnd(work: () => void) {
    this.#atEnd.add(work);
  }

  #leave() {
    this.#turn += 1;
    if (this.#reader) this.signOut('left');
  }

  #idle(): number {
    const [date, steady] = clocks();
    return Math.max(date - this.#used[0], steady - this.#used[1]);
  }

  /** Something was done. What comes after the time is over is too late, also when no timer ran: a machine that slept. */
  use = () => {
    this.#look();
    if (!this.who) return;
    this.#used = clocks();
    this.ending = false;
  };

  #look() {
    if (!this.who) return;
    const idle = this.#idle();
    if (idle >= IDLE_MS) this.signOut('idle');
    else this.ending = idle >= IDLE_MS - WARNING_MS;
  }

  /** The reader with the key; for checks of what was shown to it. */
  reader(): Reader {
    if (!this.#reader) throw signedOut();
    return this.#reader;
  }

  /** Throws unless the same one is still signed in: what was shown to somebody is not for whoever comes next. */
  still(who: Caller | null) {
    if (!who || this.who !== who) throw signedOut();
  }

  /** Bytes are sent as they are, everything else as JSON. */
  async #send(path: string, accept: string, body?: unknown): Promise<Response> {
    const { bytesOf, withLength } = await import('./reader');
    const chain = pin.pinned?.chain ?? pin.told;
    const nonce = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    const isRaw = body instanceof Uint8Array;
    const bytes = (body === undefined ? new Uint8Array() : isRaw ? body : bytesOf(JSON.stringify(body))) as Uint8Array<ArrayBuffer>;
    const method = body === undefined ? 'GET' : 'POST';
    const said = bytesOf(JSON.stringify({ chain, node: authority(), method, target: `/api/v1${path}`, time: Date.now(), nonce }));
    const signed = await this.reader().json<Record<string, string>>('sign', [...withLength(said), bytes.slice()]);
    const headers = { Accept: accept, 'Content-Type': isRaw ? 'application/octet-stream' : 'application/json', ...signed };
    return send(path, body === undefined ? { method, headers } : { method, headers, body: bytes });
  }

  /** As the SDK signs: chain, method, path with query, time, nonce, body. */
  async ask<T>(path: string, body?: unknown): Promise<T> {
    return answerOf<T>(await this.#send(path, 'application/json', body));
  }

  async askBytes(path: string): Promise<Uint8Array> {
    const response = await this.#send(path, 'application/octet-stream');
    if (!response.ok) return answerOf<never>(response);
    return new Uint8Array(await response.arrayBuffer());
  }

  /** Sends bytes as they are. */
  async askOctets<T>(path: string, bytes: Uint8Array): Promise<T> {
    return answerOf<T>(await this.#send(path, 'application/json', bytes));
  }
}

export const session = new Session();
