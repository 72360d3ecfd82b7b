// Evidence packages: verified beside the page, read piece by piece, sent nowhere.
import { bytesOf, type Reader } from './reader';

export interface Statement { code: string; en: string; zh: string }
export interface AuditLine { number: number; time: number; actor: string; access: string; document: string; version: number; purpose: string; result: string }
export interface Evidence {
  chain: string; made: { at: number; key: string; member: string; purpose: string; statement: string };
  documents: {
    id: string; version: number; category: string; titles: [string, string]; issuer: string; state: string; submitted: { height: number; time_ms: number };
    as_of: { height: number; time_ms: number }; hidden: number; fields: { slot: number; name: string; titles: [string, string]; value: unknown }[];
    attachments: { field: string; name: string; bytes: number; shown: number }[];
  }[];
  audit?: { member: string; node: string; anchored: { height: number; time_ms: number }; records: AuditLine[] };
  verified: Statement[]; claimed: Statement[];
}

/** A ZIP begins so; whether it is a package the verifier says. */
export async function isPackage(file: Blob): Promise<boolean> {
  const [p, k] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  return p === 0x50 && k === 0x4b;
}

/** Whether the first member is the one with which every package begins: of another archive nobody says that it was changed. */
export async function beginsAsPackage(file: Blob): Promise<boolean> {
  const name = new TextDecoder().decode(await file.slice(30, 40).arrayBuffer());
  return name === 'chain.json';
}

export const verifyPackage = (reader: Reader, file: Blob, chain: string | null): Promise<Evidence> =>
  reader.json<Evidence>('verify_package', [bytesOf(JSON.stringify({ bytes: file.size, chain }))], file);
