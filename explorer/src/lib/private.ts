// Private fields and files of a version: read by whoever is signed in, judged by what the chain's state proves.
import { query, type DocumentRecord, type VersionRecord } from './documents';
import { pin } from './pin.svelte';
import { bytesOf } from './reader';
import { session } from './session.svelte';
import { setOf } from './slots';
import { same, stateRecord } from './trust';
import { NotProven } from './verifier';

export interface FieldRule { name: string; title_en: string; title_zh: string; kind: string; grade: number; public: boolean; required: boolean }
export interface Purpose { code: string; title_en: string; title_zh: string; readers: number; grade: number }
export interface SchemaRecord { version: number; definition: { name: string; title_en: string; title_zh: string; fields: FieldRule[]; purposes: Purpose[] } }
/** What the state proves of a version; the shape that the reader takes. */
export interface Expected { document: string; version: number; issuer: string; root: string; blob_root: string | null; schema: SchemaRecord }
export interface Decision { allowed: boolean; fields: string; basis: number; reason: string }
export interface ReadField { slot: number; name: string; value: unknown }
export interface FileValue { name: string; media: string; size: number }
interface Opening { opening: string; name: string; media: string; size: number; bytes: number; piece_bytes: number; next: number; groups: number }
export interface Progress { done: number; bytes: number; groups: number }

const OPENINGS_MAX = 64;
/** As the contracts take it. */
export const PURPOSE = /^[a-z][a-z0-9._-]{0,63}$/;
const hex = (bytes: Uint8Array | string): string =>
  [...(typeof bytes === 'string' ? bytesOf(bytes) : bytes)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
const four = (value: number): string => value.toString(16).padStart(8, '0');

/** Document, version and schema out of the state, each proven. */
export async function provenExpected(id: string, version: number): Promise<Expected> {
  const [document, content] = await Promise.all([
    stateRecord<DocumentRecord>('documents', hex('d') + id), stateRecord<VersionRecord>('documents', hex('v') + id + four(version))]);
  if (!document || !content) throw new NotProven(`the state holds no version ${version} of ${id}`);
  same('id', id, document.record.id);
  same('version', version, content.record.version);
  const { root, blob_root, schema_version } = content.record.content;
  const name = document.record.schema;
  const schema = await stateRecord<SchemaRecord>('documents', hex('h') + name.length.toString(16).padStart(2, '0') + hex(name) + four(schema_version));
  if (!schema) throw new NotProven(`the state holds no schema ${name} version ${schema_version}`);
  same('schema', name, schema.record.definition.name);
  return { document: id, version, issuer: document.record.issuer, root, blob_root, schema: schema.record };
}

/** What the contract would say now; nothing is shown and nothing is logged. */
export const may = (id: string, version: number, purpose: string): Promise<Decision> =>
  query<Decision>('may', { account: session.actor, action: 'Read', id, version, purpose });

/** Reads fields. It is logged by the node before anything is shown; what comes is checked here. */
export async function readFields(expected: Expected, purpose: string, slots: number[]): Promise<ReadField[]> {
  const { who } = session;
  const reading = await session.ask(`/documents/${expected.document}/versions/${expected.version}/read`, { purpose, fields: setOf(slots) });
  session.still(who);
  const checked = await session.reader().json<{ fields: ReadField[] }>('check_fields', [bytesOf(JSON.stringify({ expected, reading }))]);
  const shown = checked.fields.map((field) => field.slot).join();
  same('fields', [...slots].sort((a, b) => a - b).join(), shown);
  session.still(who);
  return checked.fields;
}

async function open(expected: Expected, slot: number, index: number, purpose: string, from: number): Promise<Opening> {
  const secret = crypto.getRandomValues(new Uint8Array(32));
  const { recipient } = await session.reader().json<{ recipient: string }>('file_begin', [secret]);
  const base = `/documents/${expected.document}/versions/${expected.version}/files/${slot}/${index}`;
  const opening = await session.ask(`${base}/open`, { purpose, recipient });
  const input = { chain: pin.pinned?.chain, expected, slot, index, from, opening };
  return session.reader().json<Opening>('file_opened', [bytesOf(JSON.stringify(input))]);
}

/** The reader has one file open at a time: further ones wait. */
let last: Promise<unknown> = Promise.resolve();

/** Reads a whole file: every group is checked before it is kept, and all of it before it is given out. */
export function readFile(...of: Parameters<typeof whole>): Promise<Blob> {
  const read = last.then(() => whole(...of));
  last = read.catch(() => undefined);
  return read;
}

async function whole(expected: Expected, slot: number, index: number, purpose: string, tell: (progress: Progress) => void): Promise<Blob> {
  const { who } = session;
  session.still(who);
  let opening = await open(expected, slot, index, purpose, 0);
  let openings = 1;
  let [at, size] = [0, 0];
  const parts: Blob[] = [];
  const base = `/documents/${expected.document}/versions/${expected.version}/files/${slot}/${index}`;
  while (at < opening.bytes) {
    const to = Math.min(opening.bytes, at + opening.piece_bytes);
    let encoded: Uint8Array;
    try {
      encoded = await session.askBytes(`${base}?opening=${opening.opening}&from=${at}&to=${to}`);
    } catch (error) {
      const code = (error as { problem?: { code: string } }).problem?.code;
      if (code !== 'vault.opening_unknown' || openings >= OPENINGS_MAX) throw error;
      openings += 1;
      opening = await open(expected, slot, index, purpose, at);
      if (opening.next !== at) throw new NotProven('it shows another file than before');
      continue;
    }
    const end = new Uint8Array(8);
    new DataView(end.buffer).setBigUint64(0, BigInt(to), true);
    session.still(who);
    const plain = (await session.reader().call('file_piece', [end, encoded])) as Uint8Array<ArrayBuffer>;
    parts.push(new Blob([plain]));
    [at, size] = [to, size + plain.length];
    tell({ done: at, bytes: opening.bytes, groups: opening.groups });
  }
  session.still(who);
  await session.reader().json('file_end', []);
  same('size', opening.size, size);
  return new Blob(parts, { type: 'application/octet-stream' });
}
