// What a refusal says of a document that was to be sent: as the SDK judges it (sdk/rust, Error::verdict).
import { codeOf, Failed } from '../failed';

/** Taken: the id is in use, or a version follows already. Registered: a person is so already. Early: what it refers to is not there yet. Content: the row is
 *  at fault. Passing: later it may be otherwise. Fatal: nothing more can be sent. */
export type Verdict = 'taken' | 'registered' | 'early' | 'content' | 'passing' | 'fatal';

const PASSING = ['tx.not_final', 'tx.unknown', 'stage.full', 'stage.not_staged', 'tx.expired', 'vault.not_running', 'client.unreachable', 'client.bad_answer', 'client.timeout'];

export function verdictOf(error: unknown): Verdict {
  const { code, status } = codeOf(error);
  const last = code.split('.').pop() ?? code;
  if (['document_exists', 'previous_root', 'version_pending'].includes(last) || code === 'stage.taken') return 'taken';
  if (last === 'subject_exists') return 'registered';
  if (['reference_missing', 'reference_state', 'reference_version'].includes(last)) return 'early';
  if (PASSING.includes(code)) return 'passing';
  if (error instanceof Failed || code === 'document.construction' || code === 'tx.too_large') return 'content';
  if (status >= 500 || status === 408 || status === 429) return 'passing';
  return code.startsWith('stage.') ? 'content' : 'fatal';
}
