// The module `uplink` in its worker, call by call. A file goes along with each call that reads it.
import { startUplink } from '../start-reader';
import { bytesOf, type Reader } from '../reader';
import type { DocumentRecord, VersionRecord } from '../documents';
import type { Checked, Compared, Look, Mapping, Row, Rows, SchemaRecord, Sealed, WhenChanged, Why } from './types';

const asBytes = (value: unknown): Uint8Array[] => [bytesOf(JSON.stringify(value))];

export interface Issue { chain: string; member: string; recipient: string; schema: SchemaRecord; mapping: Mapping }

/** What is known of a row's document: noted in this browser, asked of the chain, shown by the own node, and versions before. */
export interface Known {
  n: number; noted: { content: string; version: number; parts: string; open: boolean } | null;
  asked?: { document: DocumentRecord | null; latest: VersionRecord | null; in_force: VersionRecord | null };
  read?: { fields: Record<string, unknown> | null }; earlier?: VersionRecord[];
}
export type Looked =
  | { needs: 'document' } | { needs: 'fields'; version: number; purpose: string } | { needs: 'versions'; versions: number[] }
  | { standing: 'new' | 'same' | 'changed' | 'blocked'; version: number | null; parts: string | null };

export class Engine {
  private constructor(readonly reader: Reader) {}

  static async start(): Promise<Engine> {
    return new Engine(await startUplink());
  }

  /** The key that ids come from, as the account's key gives it or as a file holds it. */
  key(key: { key: string } | { text: string }): Promise<{ fingerprint: string }> {
    return this.reader.json('key', asBytes(key));
  }

  numbers(name: string, text: string): Promise<null> {
    return this.reader.json('numbers', asBytes({ name, text }));
  }

  look(file: File, schemas: SchemaRecord[], options: { records?: string; sheet?: string }): Promise<Look> {
    return this.reader.json('look', asBytes({ source: source(file), schemas, options }), file);
  }

  suggest(schema: SchemaRecord): Promise<{ mapping: Mapping; sure: Record<string, number> }> {
    return this.reader.json('suggest', asBytes(schema));
  }

  mappingText(mapping: Mapping): Promise<string> {
    return this.reader.json('mapping_text', asBytes(mapping));
  }

  mappingsOf(name: string, text: string): Promise<(Partial<Mapping> & { schema: string })[]> {
    return this.reader.json('mapping_of', asBytes({ name, text }));
  }

  check(file: File, issue: Issue, seen: (count: number) => void): Promise<Checked> {
    return this.reader.json('check', asBytes({ source: source(file), ...issue }), file, seen);
  }

  beginComparing(file: File): Promise<null> {
    return this.reader.json('begin_comparing', [], file);
  }

  compare(known: Known): Promise<Looked> {
    return this.reader.json('compare', asBytes(known));
  }

  changes(): Promise<Compared> {
    return this.reader.json('changes', []);
  }

  /** Why a document cannot have a version now: code and reason. */
  hindered(document: DocumentRecord, latest: string): Promise<[string, string] | null> {
    return this.reader.json('hindered', asBytes({ document, latest }));
  }

  begin(file: File, changed: WhenChanged): Promise<null> {
    return this.reader.json('begin', asBytes({ changed }), file);
  }

  next(file: File, limit: number): Promise<Rows> {
    return this.reader.json('next', asBytes({ limit }), file);
  }

  async seal(row: Row, registered: string[], inForce: [string, number][]): Promise<Sealed> {
    const answer = await this.reader.call('seal', asBytes({ n: row.n, registered, in_force: inForce }));
    const end = 4 + new DataView(answer.buffer, answer.byteOffset).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(answer.subarray(4, end))) as Omit<Sealed, 'delivery'>;
    return { ...head, delivery: answer.slice(end) };
  }

  /** Answers what is to be noted of it. */
  done(row: Row): Promise<{ parts: string }> {
    return this.reader.json('done', asBytes({ n: row.n }));
  }

  /** Answers how many rows are rejected. */
  reject(row: Row, why: Why): Promise<{ rejected: number }> {
    return this.reader.json('reject', asBytes({ n: row.n, why }));
  }

  faulty(file: File): Promise<{ count: number; unkept: number }> {
    return this.reader.json('faulty', [], file);
  }

  rejected(): Promise<Uint8Array> {
    return this.reader.call('rejected', []);
  }

  close() {
    this.reader.close();
  }
}

const source = (file: File) => ({ name: file.name, bytes: file.size });

