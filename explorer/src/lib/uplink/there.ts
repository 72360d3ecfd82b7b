// What the chain has of a row's document, each record proven.
import { provenVersion, type DocumentRecord, type VersionRecord } from '../documents';
import { same, stateRecord } from '../trust';
import { NotProven } from '../verifier';

const D = '64';

/** Null where the state holds none. */
export async function documentOf(id: string): Promise<DocumentRecord | null> {
  const found = await stateRecord<DocumentRecord>('documents', D + id);
  if (found) same('id', id, found.record.id);
  return found?.record ?? null;
}

export async function versionOf(id: string, version: number): Promise<VersionRecord | null> {
  try {
    return (await provenVersion(id, version)).record;
  } catch (error) {
    if (error instanceof NotProven && /holds no version/.test(error.message)) return null;
    throw error;
  }
}

export interface There { document: DocumentRecord; latest: VersionRecord }

/** A document with its newest version; null where there is none. */
export async function thereOf(id: string): Promise<There | null> {
  const document = await documentOf(id);
  if (!document) return null;
  const latest = await versionOf(id, document.latest);
  if (!latest) throw new NotProven(`the state holds no version ${document.latest} of ${id}`);
  return { document, latest };
}
