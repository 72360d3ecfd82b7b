// An uplink from its file to its receipts. One at a time, in this tab; it goes on while other pages are looked at.
import { problemOf } from '../api';
import { pin } from '../pin.svelte';
import { bytesOf } from '../reader';
import { session } from '../session.svelte';
import type { Member, Problem } from '../types';
import { NotProven } from '../verifier';
import { Engine } from './engine';
import { Journal } from './journal';
import { clean, whole } from './mapping';
import { progress } from './progress.svelte';
import { members, provenSchema, recipientOf, schemas } from './schemas';
import { sendRow, type Ended } from './send';
import type { Checked, Look, Mapping, Receipt, Row, SchemaRecord } from './types';

export const STEPS = ['source', 'mapping', 'check', 'confirm', 'run'] as const;
export type Step = (typeof STEPS)[number];
export type Phase = 'idle' | 'running' | 'stopping' | 'stopped' | 'ended' | 'failed';

/** Documents under way at a time. */
const UNDER_WAY = 24;
/** Rows fetched from the module at a time. */
const FETCHED = 64;
/** Rows that wait for others of the same file to be final. */
const DEFERRED_MAX = 10_000;
const RATE_MS = 20_000;
/** Receipts in the list; the file has them all. */
const SHOWN_MAX = 200;
const DRAFT = 'vouch.uplink';

/** What is remembered in this tab of an uplink that a reload broke off: no value of the file. */
interface Draft { account: string; file: string; bytes: number; modified: number; mapping: Mapping }

class Uplink {
  step = $state<Step>('source');
  busy = $state('');
  seen = $state(0);
  problem = $state<Problem | null>(null);
  lie = $state('');

  file = $state.raw<File | null>(null);
  look = $state.raw<Look | null>(null);
  schemas = $state.raw<SchemaRecord[]>([]);
  members = $state.raw<Member[]>([]);
  mapping = $state<Mapping | null>(null);
  sure = $state.raw<Record<string, number>>({});
  fingerprint = $state('');
  /** Whether the key of ids came out of a file. */
  keyed = $state('');
  checked = $state.raw<Checked | null>(null);
  draft = $state.raw<Draft | null>(null);

  phase = $state<Phase>('idle');
  sent = $state(0);
  already = $state(0);
  rejected = $state(0);
  /** Of the documents, those that node or contract refused; rows that were at fault before are not among them. */
  refused = $state(0);
  receipts = $state.raw<Receipt[]>([]);
  began = $state(0);
  ended = $state(0);
  /** Documents a second, of late. */
  rate = $state(0);

  #engine: Engine | null = null;
  #recent: number[] = [];
  #all: Receipt[] = [];

  schema = $derived(this.schemas.find((one) => one.definition.name === this.mapping?.schema) ?? null);
  documents = $derived(this.checked?.summary.documents ?? 0);
  settled = $derived(this.sent + this.already + this.refused);
  left = $derived(this.rate > 0 ? Math.max(0, this.documents - this.settled) / this.rate : null);

  isRunning(): boolean {
    return this.phase === 'running' || this.phase === 'stopping';
  }

  /** Does something that may fail, and says what went wrong. */
  async #try(what: string, work: () => Promise<void>): Promise<boolean> {
    if (this.busy) return false;
    [this.busy, this.problem, this.lie, this.seen] = [what, null, '', 0];
    try {
      await work();
      return true;
    } catch (error) {
      if (error instanceof NotProven) this.lie = error.message;
      else this.problem = problemOf(error);
      return false;
    } finally {
      this.busy = '';
    }
  }

  async #started(): Promise<Engine> {
    if (this.#engine) return this.#engine;
    const engine = await Engine.start();
    const chain = pin.pinned?.chain ?? pin.told;
    const own = await session.reader().json<{ key: string }>('uplink_key', [bytesOf(JSON.stringify({ chain }))]);
    this.fingerprint = (await engine.key(own)).fingerprint;
    this.#engine = engine;
    // What was read goes with the session, whichever page is shown.
    session.atEnd(this.close);
    return engine;
  }

  /** Looks into a file; with the mapping of a broken off uplink of the same file, goes straight to its check. */
  async choose(file: File): Promise<void> {
    await this.#try('look', async () => {
      const engine = await this.#started();
      [this.schemas, this.members] = await Promise.all([schemas(), members()]);
      const look = await engine.look(file, this.schemas, {});
      [this.file, this.look, this.checked] = [file, look, null];
      [this.sent, this.already, this.rejected, this.receipts, this.phase, this.#all] = [0, 0, 0, [], 'idle', []];
      this.draft = this.#kept();
      const kept = this.draft && this.#isOf(this.draft, file) ? this.draft.mapping : this.mapping && isMended(file.name) ? $state.snapshot(this.mapping) as Mapping : null;
      if (kept && this.schemas.some((one) => one.definition.name === kept.schema)) [this.mapping, this.sure] = [whole(kept), {}];
      else if (look.fits[0]) await this.#suggest(look.fits[0].schema);
      this.step = 'mapping';
    });
  }

  async #suggest(name: string): Promise<void> {
    const schema = this.schemas.find((one) => one.definition.name === name);
    if (!schema) return;
    const { mapping, sure } = await (await this.#started()).suggest(schema);
    [this.mapping, this.sure, this.checked] = [whole(mapping), sure, null];
  }

  suggest(name: string): Promise<boolean> {
    return this.#try('look', () => this.#suggest(name));
  }

  /** A mapping file. */
  loadMapping(file: File): Promise<boolean> {
    return this.#try('look', async () => {
      const found = await (await this.#started()).mappingsOf(file.name, await file.text());
      const fits = found.find((one) => this.schemas.some((schema) => schema.definition.name === one.schema) && (found.length === 1 || one.schema === this.mapping?.schema)) ?? found[0];
      if (fits) [this.mapping, this.sure, this.checked] = [whole(fits), {}, null];
    });
  }

  async mappingText(): Promise<string> {
    const text = this.mapping ? await (await this.#started()).mappingText(clean($state.snapshot(this.mapping) as Mapping)) : '';
    return text;
  }

  /** Another key of ids, as vouch doc uplink keeps one: rows that were sent with it are found to be there. */
  useKey(file: File): Promise<boolean> {
    return this.#try('look', async () => {
      this.fingerprint = (await (await this.#started()).key({ text: await file.text() })).fingerprint;
      [this.keyed, this.checked] = [file.name, null];
    });
  }

  useNumbers(file: File): Promise<boolean> {
    return this.#try('look', async () => {
      await (await this.#started()).numbers(file.name, await file.text());
      this.checked = null;
    });
  }

  check(): Promise<boolean> {
    return this.#try('check', async () => {
      const { file, mapping } = this;
      if (!file || !this.schema || !mapping || !session.who) return;
      const { schema_version: version } = mapping;
      const schema = version && version !== this.schema.version ? await provenSchema(mapping.schema, version) : this.schema;
      const member = session.who.node_member;
      const recipient = recipientOf(this.members, member);
      if (!recipient) throw new Error(`${member} has no encryption key on the chain`);
      const issue = { chain: pin.pinned?.chain ?? pin.told, member, recipient, schema, mapping: clean($state.snapshot(mapping) as Mapping) };
      this.checked = await (await this.#started()).check(file, issue, (count) => { this.seen = count; session.use(); });
      [this.sent, this.already, this.rejected, this.receipts, this.phase, this.#all] = [0, 0, 0, [], 'idle', []];
      this.step = 'check';
      this.#keep();
    });
  }

  /** Rows at fault as a file, before anything is sent. */
  async faulty(): Promise<Blob | null> {
    let found: Blob | null = null;
    await this.#try('faulty', async () => {
      if (!this.file) return;
      const engine = await this.#started();
      await engine.faulty(this.file);
      found = new Blob([(await engine.rejected()) as Uint8Array<ArrayBuffer>], { type: 'text/csv' });
    });
    return found;
  }

  async rejectedFile(): Promise<Blob> {
    return new Blob([(await (await this.#started()).rejected()) as Uint8Array<ArrayBuffer>], { type: 'text/csv' });
  }

  receiptsFile(): Blob {
    const cell = (value: string) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
    const lines = this.#all.map((one) => [cell(one.place), one.id, one.tx ?? '', one.height, one.time === null ? '' : new Date(one.time).toISOString()].join(','));
    return new Blob([`\ufeff${['place,document,transaction,height,time', ...lines].join('\r\n')}\r\n`], { type: 'text/csv' });
  }

  /** Sends everything that is not final yet; again after a stop, too. */
  async run(): Promise<void> {
    const { file, checked } = this;
    if (this.isRunning() || !file || !checked) return;
    [this.phase, this.problem, this.lie, this.sent, this.already, this.rejected, this.refused] = ['running', null, '', 0, 0, 0, 0];
    [this.began, this.ended, this.rate, this.#recent, this.#all, this.receipts] = [Date.now(), 0, 0, [], [], []];
    [progress.running, progress.done, progress.total] = [true, 0, checked.summary.documents];
    this.step = 'run';
    addEventListener('beforeunload', warn);
    let journal: Journal | null = null;
    try {
      journal = await Journal.open(pin.pinned?.chain ?? pin.told, checked.fingerprint);
      await this.#send(await this.#started(), file, journal);
      this.phase = (this.phase as Phase) === 'stopping' ? 'stopped' : 'ended';
      if (this.phase === 'ended') this.#forget();
    } catch (error) {
      // Signed out: nothing of it is shown any more.
      const isClosed = !this.#engine;
      this.phase = isClosed ? 'idle' : 'failed';
      if (error instanceof NotProven) this.lie = error.message;
      else if (!isClosed) this.problem = problemOf(error);
    } finally {
      journal?.close();
      removeEventListener('beforeunload', warn);
      this.ended = Date.now();
      progress.running = false;
      this.receipts = this.#all.slice(0, SHOWN_MAX);
    }
  }

  stop = () => {
    if (this.phase === 'running') this.phase = 'stopping';
  };

  async #send(engine: Engine, file: File, journal: Journal): Promise<void> {
    await engine.begin(file);
    const waiting: Row[] = [];
    const deferred: Row[] = [];
    let [isEnd, failure] = [false, undefined as unknown];
    let fetching: Promise<void> | null = null;
    const isStopped = () => this.phase !== 'running' || failure !== undefined;
    const fetch = async () => {
      const found = await engine.next(file, FETCHED);
      waiting.push(...found.rows);
      isEnd = found.end;
      this.rejected = Math.max(this.rejected, found.rejected);
    };
    const next = async (): Promise<Row | undefined> => {
      while (!waiting.length && !isEnd) {
        fetching ??= fetch().finally(() => { fetching = null; });
        await fetching;
      }
      return waiting.shift();
    };
    const work = async (take: () => Promise<Row | undefined>, mayWait: boolean) => {
      for (;;) {
        if (isStopped()) return;
        const row = await take();
        if (!row) return;
        const ended = await this.#row(engine, journal, row, isStopped);
        if (ended.how === 'early' && mayWait && deferred.length < DEFERRED_MAX) deferred.push(row);
        else await this.#settle(engine, journal, row, ended);
      }
    };
    const all = async (take: () => Promise<Row | undefined>, mayWait: boolean) => {
      const one = () => work(take, mayWait).catch((error: unknown) => { failure ??= error; });
      await Promise.all(Array.from({ length: UNDER_WAY }, one));
      if (failure !== undefined) throw failure;
    };
    await all(next, true);
    // What was referred to within the same file is final by now.
    await all(() => Promise.resolve(deferred.shift()), false);
  }

  async #row(engine: Engine, journal: Journal, row: Row, isStopped: () => boolean): Promise<Ended> {
    const known = await journal.get(row.id);
    if (known && known.content !== row.content) return { how: 'changed' };
    if (known) return { how: 'already', receipt: { place: row.place, id: row.id, tx: known.tx, height: known.height, time: known.time } };
    return sendRow(engine, row, isStopped);
  }

  async #settle(engine: Engine, journal: Journal, row: Row, ended: Ended): Promise<void> {
    if (ended.how === 'left') return;
    if (ended.how === 'sent' || ended.how === 'already') {
      const { tx, height, time } = ended.receipt;
      await journal.put(row.id, { content: row.content, tx, height, time });
      await engine.done(row);
      this.#all.push(ended.receipt);
      if (ended.how === 'sent') this.sent += 1;
      else this.already += 1;
      this.#tick(ended.how === 'sent');
      return;
    }
    const { rejected } = await engine.reject(row, ended.how === 'changed' ? null : [ended.code, ended.text]);
    this.refused += 1;
    this.rejected = Math.max(this.rejected, rejected);
    this.#tick(false);
  }

  /** Somebody wanted this to go on: the session does not end for lack of use meanwhile. */
  #tick(counts: boolean) {
    const now = Date.now();
    if (counts) this.#recent.push(now);
    while ((this.#recent[0] ?? now) < now - RATE_MS) this.#recent.shift();
    const since = Math.min(RATE_MS, now - this.began) / 1000;
    this.rate = since > 0 ? this.#recent.length / since : 0;
    progress.done = this.settled;
    session.use();
  }

  to(step: Step) {
    if (!this.isRunning()) [this.step, this.problem] = [step, null];
  }

  /** Another file; the mapping stays, for one with mended rows. */
  again() {
    if (this.isRunning()) return;
    [this.step, this.file, this.look, this.checked, this.problem, this.lie, this.phase] = ['source', null, null, null, null, '', 'idle'];
  }

  close = () => {
    this.phase = this.isRunning() ? 'stopping' : 'idle';
    this.#engine?.close();
    this.#engine = null;
    [this.step, this.file, this.look, this.checked, this.mapping, this.keyed, this.fingerprint] = ['source', null, null, null, null, '', ''];
    [this.problem, this.lie, this.receipts, this.#all] = [null, '', [], []];
  };

  /** An uplink that a reload or a sign-out broke off. */
  recall() {
    this.draft = this.#kept();
  }

  #isOf = (draft: Draft, file: File) => draft.file === file.name && draft.bytes === file.size && draft.modified === file.lastModified;

  #kept(): Draft | null {
    try {
      const draft = JSON.parse(sessionStorage.getItem(DRAFT) ?? 'null') as Draft | null;
      return draft?.account === session.actor ? draft : null;
    } catch {
      return null;
    }
  }

  #keep() {
    const { file, mapping } = this;
    if (!file || !mapping) return;
    const draft: Draft = { account: session.actor, file: file.name, bytes: file.size, modified: file.lastModified, mapping: clean($state.snapshot(mapping) as Mapping) };
    try {
      sessionStorage.setItem(DRAFT, JSON.stringify(draft));
    } catch {
      // Without storage a reload begins with the mapping file.
    }
  }

  #forget() {
    this.draft = null;
    try {
      sessionStorage.removeItem(DRAFT);
    } catch {
      // There was none.
    }
  }
}

/** Written by an uplink: rows that were rejected. */
export const isMended = (name: string): boolean => /\.rejected(\.\d+)?\.(csv|ndjson)$/.test(name);

function warn(event: BeforeUnloadEvent) {
  event.preventDefault();
}

export const uplink = new Uplink();
