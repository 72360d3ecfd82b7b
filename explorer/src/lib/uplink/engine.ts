// The module `uplink` in its worker, call by call. A file goes along with each call that reads it.
import { startUplink } from '../start-reader';
import { bytesOf, type Reader } from '../reader';
import type { Checked, Look, Mapping, Row, Rows, SchemaRecord, Sealed } from './types';

const asBytes = (value: unknown): Uint8Array[] => [bytesOf(JSON.stringify(value))];

export interface Issue { chain: string; member: string; recipient: string; schema: SchemaRecord; mapping: Mapping }

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

  look(file: File, schemas: SchemaRecord[], options: { records?: string }): Promise<Look> {
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

  begin(file: File): Promise<null> {
    return this.reader.json('begin', [], file);
  }

  next(file: File, limit: number): Promise<Rows> {
    return this.reader.json('next', asBytes({ limit }), file);
  }

  async seal(row: Row, registered: string[]): Promise<Sealed> {
    const answer = await this.reader.call('seal', asBytes({ n: row.n, registered }));
    const end = 4 + new DataView(answer.buffer, answer.byteOffset).getUint32(0, true);
    const head = JSON.parse(new TextDecoder().decode(answer.subarray(4, end))) as Omit<Sealed, 'delivery'>;
    return { ...head, delivery: answer.slice(end) };
  }

  done(row: Row): Promise<null> {
    return this.reader.json('done', asBytes({ n: row.n }));
  }

  /** Without a refusal: the number is another content’s on the chain. Answers how many rows are rejected. */
  reject(row: Row, refusal: [string, string] | null): Promise<{ rejected: number }> {
    return this.reader.json('reject', asBytes({ n: row.n, refusal }));
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

