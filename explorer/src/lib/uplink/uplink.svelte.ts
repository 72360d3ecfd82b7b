// An uplink from its file to its receipts. One at a time, in this tab; it goes on while other pages are looked at.
import { problemOf } from '../api';
import { pin } from '../pin.svelte';
import { bytesOf } from '../reader';
import { session } from '../session.svelte';
import type { Member, Problem } from '../types';
import { NotProven } from '../verifier';
import { compareRow } from './compare';
import { Engine } from './engine';
import { Journal } from './journal';
import { clean, whole } from './mapping';
import { progress } from './progress.svelte';
import { members, provenSchema, recipientOf, schemas } from './schemas';
import { sendRow, type Ended } from './send';
import type { Changes, Checked, Look, Mapping, Receipt, Row, Rows, SchemaRecord, Titles, WhenChanged } from './types';

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
  /** Documents that were compared with the chain, while they are. */
  compared = $state<number | null>(null);
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
  /** How the documents stand to what is on the chain; nothing for a file that cannot be read to its end. */
  changes = $state.raw<Changes | null>(null);
  changeTitles = $state.raw<Titles>({});
  /** What becomes of rows that changed. */
  changed = $state<WhenChanged>('reject');
  draft = $state.raw<Draft | null>(null);

  phase = $state<Phase>('idle');
  sent = $state(0);
  /** New versions among them. */
  versions = $state(0);
  already = $state(0);
  /** Documents that are another content on the chain and were left so. */
  skipped = $state(0);
  rejected = $state(0);
  /** Of the documents, those that node or contract refused; rows that were at fault before are not among them. */
  refused = $state(0);
  /** Documents that were rejected because they changed. */
  keptBack = $state(0);
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
  /** New ones, and new versions where somebody wants them. */
  leaving = $derived(this.changes ? this.changes.new + (this.changed === 'version' ? this.changes.changed : 0) : this.documents);
  settled = $derived(this.sent + this.already + this.refused + this.keptBack + this.skipped);
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
      [this.file, this.look, this.checked, this.phase] = [file, look, null, 'idle'];
      this.#zero();
      this.draft = this.#kept();
      const kept = this.draft && this.#isOf(this.draft, file) ? this.draft.mapping : this.mapping && isMended(file.name) ? $state.snapshot(this.mapping) as Mapping : null;
      if (kept && this.schemas.some((one) => one.definition.name === kept.schema)) await this.#take(kept);
      else if (look.fits[0]) await this.#suggest(look.fits[0].schema);
      this.step = 'mapping';
    });
  }

  /** A mapping that was there; of a workbook the sheet that it names is looked into. */
  async #take(mapping: Parameters<typeof whole>[0]): Promise<void> {
    const { file, look } = this;
    const sheet = mapping.sheet ?? look?.sheets[0];
    if (file && look && sheet && sheet !== look.sheet && look.sheets.includes(sheet)) this.look = await (await this.#started()).look(file, this.schemas, { sheet });
    [this.mapping, this.sure, this.checked] = [whole(mapping), {}, null];
  }

  async #suggest(name: string): Promise<void> {
    const schema = this.schemas.find((one) => one.definition.name === name);
    if (!schema) return;
    const { mapping, sure } = await (await this.#started()).suggest(schema);
    [this.mapping, this.sure, this.checked] = [whole({ ...mapping, ...this.#sheetOf(this.look) }), sure, null];
  }

  /** How a mapping names a sheet: the first needs no name. */
  #sheetOf = (look: Look | null): { sheet?: string } => (look?.sheet && look.sheet !== look.sheets[0] ? { sheet: look.sheet } : {});

  /** Another sheet of a workbook. The mapping stays where the columns are the same. */
  chooseSheet(sheet: string): Promise<boolean> {
    return this.#try('look', async () => {
      const { file, look: before, mapping } = this;
      if (!file) return;
      const look = await (await this.#started()).look(file, this.schemas, { sheet });
      const isSame = look.columns.join('\n') === before?.columns.join('\n');
      [this.look, this.checked] = [look, null];
      if (mapping && isSame) this.mapping = { ...mapping, sheet: '', ...this.#sheetOf(look) };
      else if (look.fits[0]) await this.#suggest(look.fits[0].schema);
    });
  }

  suggest(name: string): Promise<boolean> {
    return this.#try('look', () => this.#suggest(name));
  }

  /** A mapping file. */
  loadMapping(file: File): Promise<boolean> {
    return this.#try('look', async () => {
      const found = await (await this.#started()).mappingsOf(file.name, await file.text());
      const fits = found.find((one) => this.schemas.some((schema) => schema.definition.name === one.schema) && (found.length === 1 || one.schema === this.mapping?.schema)) ?? found[0];
      if (fits) await this.#take(fits);
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
      this.phase = 'idle';
      this.#zero();
      this.changes = null;
      if (this.checked.summary.documents && !this.checked.summary.broken.length) await this.#compare(file, this.checked);
      this.changed = mapping.changed ?? 'reject';
      this.step = 'check';
      this.#keep();
    });
  }

  #zero() {
    [this.sent, this.versions, this.already, this.skipped, this.rejected, this.refused, this.keptBack] = [0, 0, 0, 0, 0, 0, 0];
    [this.receipts, this.#all] = [[], []];
  }

  /** Every row against the chain, before anything leaves. */
  async #compare(file: File, { fingerprint }: Checked): Promise<void> {
    const engine = await this.#started();
    const journal = await Journal.open(pin.pinned?.chain ?? pin.told, fingerprint);
    try {
      this.compared = 0;
      await engine.beginComparing(file);
      const next = rowsOf(engine, file, () => undefined);
      await all(async (isOver) => {
        for (let row = await next(); row && !isOver(); row = await next()) {
          await compareRow(engine, journal, row);
          this.compared = (this.compared ?? 0) + 1;
          session.use();
        }
      });
      const { changes, titles } = await engine.changes();
      [this.changes, this.changeTitles] = [changes, titles];
    } finally {
      journal.close();
      this.compared = null;
    }
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
    const lines = this.#all.map((one) => [cell(one.place), one.id, one.tx ?? '', one.height, one.time === null ? '' : new Date(one.time).toISOString(), one.version].join(','));
    return new Blob([`\ufeff${['place,document,transaction,height,time,version', ...lines].join('\r\n')}\r\n`], { type: 'text/csv' });
  }

  /** Sends everything that is not final yet; again after a stop, too. */
  async run(): Promise<void> {
    const { file, checked } = this;
    if (this.isRunning() || !file || !checked) return;
    [this.phase, this.problem, this.lie] = ['running', null, ''];
    this.#zero();
    [this.began, this.ended, this.rate, this.#recent] = [Date.now(), 0, 0, []];
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
    await engine.begin(file, this.changed);
    const deferred: Row[] = [];
    const next = rowsOf(engine, file, (found) => {
      this.rejected = Math.max(this.rejected, found.rejected);
      [this.keptBack, this.skipped] = [found.kept_back, found.skipped];
    });
    const work = (take: () => Promise<Row | undefined>, mayWait: boolean) => async (isOver: () => boolean) => {
      const isStopped = () => this.phase !== 'running' || isOver();
      for (;;) {
        if (isStopped()) return;
        const row = await take();
        if (!row) return;
        const ended = await this.#row(engine, journal, row, isStopped);
        if (ended.how === 'early' && mayWait && deferred.length < DEFERRED_MAX) deferred.push(row);
        else await this.#settle(engine, journal, row, ended);
      }
    };
    await all(work(next, true));
    // What was referred to within the same file is final by now.
    await all(work(() => Promise.resolve(deferred.shift()), false));
  }

  async #row(engine: Engine, journal: Journal, row: Row, isStopped: () => boolean): Promise<Ended> {
    const known = await journal.get(row.id);
    if (known && !known.open && known.content === row.content) {
      const { tx, height, time, version = 1 } = known;
      return { how: 'already', receipt: { place: row.place, id: row.id, version, tx, height, time }, noted: true };
    }
    if (known && row.version === 1) return { how: 'refused', why: 'moved_on' };
    // A version may be sent from here on: what the chain has is asked if this breaks off.
    if (known) await journal.put(row.id, { ...known, open: true });
    return sendRow(engine, row, isStopped);
  }

  async #settle(engine: Engine, journal: Journal, row: Row, ended: Ended): Promise<void> {
    if (ended.how === 'left') return;
    if (ended.how === 'sent' || ended.how === 'already') {
      const { tx, height, time, version } = ended.receipt;
      const { parts } = await engine.done(row);
      if (ended.how === 'sent' || !ended.noted) await journal.put(row.id, { content: row.content, tx, height, time, version, parts });
      this.#all.push(ended.receipt);
      if (ended.how === 'already') this.already += 1;
      else {
        this.sent += 1;
        if (version > 1) this.versions += 1;
      }
      this.#tick(ended.how === 'sent');
      return;
    }
    const { rejected } = await engine.reject(row, ended.why);
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
    [this.step, this.file, this.look, this.checked, this.changes, this.problem, this.lie, this.phase] = ['source', null, null, null, null, null, '', 'idle'];
  }

  close = () => {
    this.phase = this.isRunning() ? 'stopping' : 'idle';
    this.#engine?.close();
    this.#engine = null;
    [this.step, this.file, this.look, this.checked, this.mapping, this.keyed, this.fingerprint] = ['source', null, null, null, null, '', ''];
    [this.problem, this.lie, this.changes, this.receipts, this.#all] = [null, '', null, [], []];
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

/** Rows of a file, one after the other, fetched from the module some at a time; `heard` gets what it says besides. */
function rowsOf(engine: Engine, file: File, heard: (found: Rows) => void): () => Promise<Row | undefined> {
  const waiting: Row[] = [];
  let isEnd = false;
  let fetching: Promise<void> | null = null;
  const fetch = async () => {
    const found = await engine.next(file, FETCHED);
    waiting.push(...found.rows);
    isEnd = found.end;
    heard(found);
  };
  return async () => {
    while (!waiting.length && !isEnd) {
      fetching ??= fetch().finally(() => { fetching = null; });
      await fetching;
    }
    return waiting.shift();
  };
}

/** Some of the same work beside each other; when one of it fails, the others end. */
async function all(work: (isOver: () => boolean) => Promise<void>): Promise<void> {
  let failure: { error: unknown } | null = null;
  const one = () => work(() => failure !== null).catch((error: unknown) => { failure ??= { error }; });
  await Promise.all(Array.from({ length: UNDER_WAY }, one));
  if (failure) throw (failure as { error: unknown }).error;
}

/** Written by an uplink: rows that were rejected. */
export const isMended = (name: string): boolean => /\.rejected(\.\d+)?\.(csv|ndjson)$/.test(name);

function warn(event: BeforeUnloadEvent) {
  event.preventDefault();
}

export const uplink = new Uplink();
