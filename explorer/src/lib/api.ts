// Asks the node. Every answer names its chain; one of another chain than the pinned one is refused.
import type { Problem } from './types';
import { pin } from './pin.svelte';

export class ApiProblem extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail || problem.title);
  }
}

const offline = (detail: string): Problem => ({ code: 'client.unreachable', status: 0, title: '', detail });

export async function ask<T>(path: string, options: { body?: string; signal?: AbortSignal } = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json', 'Accept-Language': document.documentElement.lang };
  const init: RequestInit = { headers, cache: 'no-store', credentials: 'omit', redirect: 'error' };
  if (options.signal) init.signal = options.signal;
  if (options.body !== undefined) {
    init.method = 'POST';
    init.body = options.body;
    headers['Content-Type'] = 'application/json';
  }
  let response: Response;
  try {
    response = await fetch(`/api/v1${path}`, init);
  } catch (error) {
    if ((error as Error).name === 'AbortError') throw error;
    throw new ApiProblem(offline(String((error as Error).message)));
  }
  const chain = response.headers.get('vouch-chain');
  if (chain) pin.saw(chain);
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

export const problemOf = (error: unknown): Problem =>
  error instanceof ApiProblem ? error.problem : { code: 'client.failed', status: 0, title: '', detail: String(error) };
