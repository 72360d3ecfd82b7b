// What actions bring about, in words, and what stands in their place now.
import { ask } from '../api';
import { bare, short } from '../format';
import { pick } from '../i18n.svelte';
import type { Contract, Params } from '../types';
import type { Action } from './proposal';

export interface Change { name: string; value: string }
export interface Present { parameters: Record<string, string>; contracts: Record<string, Contract | null> }

const argument = (action: Pick<Action, 'value'>, name: string): unknown => (action.value as Record<string, unknown> | null)?.[name];

export const changesOf = (action: Pick<Action, 'contract' | 'method' | 'value'>): Change[] | null =>
  action.contract === 'system' && action.method === 'set_parameters' && action.value ? (argument(action, 'changes') as Change[]) : null;

/** The contract whose code or standing an action changes. */
export function contractOf(action: Pick<Action, 'contract' | 'method' | 'value'>): string | null {
  const name = argument(action, 'name');
  return action.contract === 'system' && action.method.endsWith('_contract') && typeof name === 'string' ? name : null;
}

function said(value: unknown): string {
  if (typeof value === 'string') return /^(ed25519:)?[0-9a-f]{64}$/.test(value) ? short(bare(value)) : value;
  return Array.isArray(value) ? value.map(said).join(', ') : typeof value === 'object' ? JSON.stringify(value) : String(value);
}

const isNothing = (value: unknown): boolean => value === null || value === '' || value === undefined;

/** One line for one action. */
export function effectText(action: Action, otherwise?: unknown): string {
  const changes = changesOf(action);
  const title = pick(action.title ?? undefined, `${action.contract}.${action.method}`);
  if (changes) return `${title}: ${changes.map(({ name, value }) => `${name} = ${value}`).join(', ')}`;
  const fields = action.fields?.filter((field) => !isNothing(argument(action, field.name))) ?? [];
  if (action.value) return `${title}: ${fields.map((field) => `${pick(field.title, field.name)} ${said(argument(action, field.name))}`).join(', ')}`;
  return `${title} ${otherwise === undefined || otherwise === null ? action.arguments : JSON.stringify(otherwise)}`;
}

/** As the node says it. */
export async function present(actions: Action[]): Promise<Present> {
  const names = [...new Set(actions.flatMap((action) => contractOf(action) ?? []))];
  const [params, ...contracts] = await Promise.all([
    actions.some(changesOf) ? ask<Params>('/params') : null,
    ...names.map((name) => ask<Contract>(`/contracts/${encodeURIComponent(name)}`).catch(() => null)),
  ]);
  return { parameters: params?.parameters ?? {}, contracts: Object.fromEntries(names.map((name, i) => [name, contracts[i] ?? null])) };
}
