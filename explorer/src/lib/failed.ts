// Why something that was sent came to nothing: refused by a node, by a module, or final and failed.
import { ApiProblem } from './api';
import { ReaderFault } from './reader';

/** A transaction is final and failed. */
export class Failed extends Error {
  constructor(readonly code: string, message: string) {
    super(message);
  }
}

export function codeOf(error: unknown): { code: string; status: number; text: string } {
  if (error instanceof Failed) return { code: error.code, status: 0, text: error.message };
  if (error instanceof ApiProblem || error instanceof ReaderFault) return { code: error.problem.code, status: error.problem.status, text: error.problem.detail };
  return { code: 'client.failed', status: 0, text: String(error) };
}

/** Codes of what says nothing about a transaction that was sent: it may be final all the same. */
const UNKNOWN = ['client.unreachable', 'client.bad_answer', 'client.timeout', 'tx.not_final', 'tx.unknown'];

export function isPassing(error: unknown): boolean {
  const { code, status } = codeOf(error);
  return UNKNOWN.includes(code) || status >= 500 || status === 408 || status === 429;
}
