// A row against what is on the chain: the module says what is to be asked and what it means, this asks.
import { ApiProblem } from '../api';
import type { VersionRecord } from '../documents';
import { isPassing } from '../failed';
import { may, readFields } from '../private';
import { slotsOf } from '../slots';
import type { Engine, Known } from './engine';
import type { Journal } from './journal';
import { provenSchema } from './schemas';
import { ATTEMPTS_MAX, pause } from './send';
import { thereOf, versionOf, type There } from './there';
import type { Row } from './types';

/** What the own node shows of the newest version: a reading that its audit has. Null when the account may not, or the node has nothing. */
async function shown({ document, latest }: There, purpose: string): Promise<Record<string, unknown> | null> {
  const { id, issuer, schema } = document;
  const { version, content: { root, blob_root, schema_version } } = latest;
  try {
    const decision = await may(id, version, purpose);
    const slots = decision.allowed ? slotsOf(decision.fields) : [];
    if (!slots.length) return null;
    const expected = { document: id, version, issuer, root, blob_root, schema: await provenSchema(schema, schema_version) };
    const fields = await readFields(expected, purpose, slots);
    return Object.fromEntries(fields.map((field) => [field.name, field.value]));
  } catch (error) {
    if (error instanceof ApiProblem && ([403, 404, 410].includes(error.problem.status) || error.problem.code === 'vault.not_here')) return null;
    throw error;
  }
}

/** Compares a row that the module gave out. What is on the chain as it is, is noted. A node that is busy or away is asked again. */
export async function compareRow(engine: Engine, journal: Journal, row: Row): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await once(engine, journal, row);
      return;
    } catch (error) {
      if (!isPassing(error) || attempt + 1 >= ATTEMPTS_MAX) throw error;
      await pause(attempt);
    }
  }
}

async function once(engine: Engine, journal: Journal, row: Row): Promise<void> {
  const kept = await journal.get(row.id);
  const known: Known = { n: row.n, noted: kept ? { content: kept.content, version: kept.version ?? 1, parts: kept.parts ?? '', open: kept.open ?? false } : null };
  let there: There | null = null;
  for (;;) {
    const looked = await engine.compare(known);
    if ('standing' in looked) {
      const is = [there?.latest, known.asked?.in_force].find((one) => one && one.version === looked.version);
      if (looked.standing === 'same' && is) {
        const { height, time_ms } = is.submitted;
        await journal.put(row.id, { content: row.content, tx: kept?.version === is.version ? kept.tx : null, height, time: time_ms, version: is.version, parts: looked.parts ?? '' });
      }
      return;
    }
    if (looked.needs === 'document') {
      there = await thereOf(row.id);
      const other = there?.latest.state === 'Rejected' ? there.document.effective : null;
      const force = other ? await versionOf(row.id, other) : null;
      known.asked = { document: there?.document ?? null, latest: there?.latest ?? null, in_force: force };
    } else if (looked.needs === 'fields') {
      known.read = { fields: there ? await shown(there, looked.purpose) : null };
    } else {
      const found = await Promise.all(looked.versions.map((number) => versionOf(row.id, number)));
      known.earlier = found.filter((one): one is VersionRecord => one !== null);
    }
  }
}
