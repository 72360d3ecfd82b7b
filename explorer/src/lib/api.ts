// Asks the node. Every answer names its chain; one of another chain than the pinned one is refused.
import type { Problem } from './types';
import { pin } from './pin.svelte';

export class ApiProblem extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail || problem.title);
  }
}

/** The node does not answer. */
export function unreachable(error: unknown): never {
  throw new ApiProblem({ code: 'client.unreachable', status: 0, title: '', detail: String((error as Error).message) });
}

interface Send { method?: string; headers?: Record<string, string>; body?: BodyInit; signal?: AbortSignal }

/** Sends a request; what the node answers may be a problem. */
export async function send(path: string, options: Send = {}): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json', 'Accept-Language': document.documentElement.lang, ...options.headers };
  if (options.body === undefined) delete headers['Content-Type'];
  else headers['Content-Type'] ??= 'application/json';
  let response: Response;
  try {
    // There are no cookies; a node that asks for client certificates gets the one that the page came with.
    response = await fetch(`/api/v1${path}`, { ...options, headers, cache: 'no-store', credentials: 'same-origin', redirect: 'error' });
  } catch (error) {
    if ((error as Error).name === 'AbortError') throw error;
    return unreachable(error);
  }
  const chain = response.headers.get('vouch-chain');
  if (chain) pin.saw(chain);
  return response;
}

export async function answerOf<T>(response: Response): Promise<T> {
  const text = await response.text();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ApiProblem({ code: 'client.bad_answer', status: response.status, title: '', detail: text.slice(0, 200) });
  }
  if (!response.ok) throw new ApiProblem(value as Problem);
  return value as T;
}

export async function ask<T>(path: string, options: { body?: string; signal?: AbortSignal } = {}): Promise<T> {
  const wanted: Send = { ...options };
  if (options.body !== undefined) wanted.method = 'POST';
  return answerOf<T>(await send(path, wanted));
}

/** Refusals of the reader bring their own titles. */
export function problemOf(error: unknown): Problem {
  if (error instanceof ApiProblem) return error.problem;
  const told = (error as { problem?: Problem } | null)?.problem;
  if (!told) return { code: 'client.failed', status: 0, title: '', detail: String(error) };
  const chinese = document.documentElement.lang.startsWith('zh');
  return chinese && told.title_zh ? { ...told, title: told.title_zh, mend: told.mend_zh ?? '' } : told;
}
