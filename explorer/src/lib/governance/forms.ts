// Proposals from a form: which kind decides what, and what is missing before it can be signed.
import type { ContractSummary } from '../types';
import type { Content } from './decision.svelte';

const HOUR_MS = 3_600_000;
const TITLE_BYTES_MAX = 200;

/** Kernel methods that the form offers, with the kind of proposal that the command line takes for them. */
export const KINDS = {
  activate_contract: 'contracts', set_parameters: 'parameters', freeze_contract: 'emergency', unfreeze_contract: 'contracts',
  promote_contract: 'contracts', roll_back_contract: 'contracts', retire_contract: 'contracts',
} as const;
export type Change = keyof typeof KINDS;
export const CHANGES = Object.keys(KINDS) as Change[];

export interface Form {
  change: Change; contract: string; code: string; percent: string; migrate: string; parameter: string; value: string; title: string; hours: string;
}
export type Missing = 'contract' | 'code' | 'percent' | 'migrate' | 'parameter' | 'value' | 'title' | 'hours';

export const empty = (): Form => ({ change: 'activate_contract', contract: '', code: '', percent: '0', migrate: '', parameter: '', value: '', title: '', hours: '168' });

/** Contracts that a change can be about as they stand. */
export function contractsFor(change: Change, all: ContractSummary[]): ContractSummary[] {
  const others = all.filter((one) => one.name !== 'system');
  switch (change) {
    case 'freeze_contract': return others.filter((one) => one.standing === 'active');
    case 'unfreeze_contract': return others.filter((one) => one.standing === 'frozen');
    case 'promote_contract': return others.filter((one) => one.canary);
    case 'roll_back_contract': return others.filter((one) => one.canary ?? one.previous);
    default: return others.filter((one) => one.standing !== 'retired');
  }
}

const isWhole = (typed: string, min: number, max: number): boolean => /^\d{1,5}$/.test(typed.trim()) && Number(typed) >= min && Number(typed) <= max;

/** What is wrong with the form, in order of its fields. */
export function missing(form: Form, all: ContractSummary[], hoursMax: number): Missing[] {
  const out: Missing[] = [];
  if (form.change === 'set_parameters') {
    if (!form.parameter) out.push('parameter');
    if (!form.value.trim()) out.push('value');
  } else if (form.change === 'activate_contract') {
    if (!/^[a-z][a-z0-9._-]{0,31}$/.test(form.contract) || form.contract === 'system') out.push('contract');
    if (!/^[0-9a-f]{64}$/.test(form.code)) out.push('code');
    // A trial stands beside a version in use.
    if (!isWhole(form.percent, 0, all.some((one) => one.name === form.contract) ? 99 : 0)) out.push('percent');
  } else if (!contractsFor(form.change, all).some((one) => one.name === form.contract)) out.push('contract');
  // A trial comes without a migration.
  const hasMigration = form.change === 'promote_contract' || (form.change === 'activate_contract' && Number(form.percent) === 0);
  if (hasMigration ? !/^([0-9a-f]{2})*$/i.test(form.migrate.trim()) : form.migrate.trim() !== '' && form.change === 'activate_contract') out.push('migrate');
  if (new TextEncoder().encode(form.title.trim()).length > TITLE_BYTES_MAX) out.push('title');
  if (!isWhole(form.hours, 1, hoursMax)) out.push('hours');
  return out;
}

/** Arguments of the kernel's method. */
export function argumentsOf(form: Form): Record<string, unknown> {
  const bytes = form.migrate.trim().toLowerCase();
  switch (form.change) {
    case 'set_parameters': return { changes: [{ name: form.parameter, value: form.value.trim() }] };
    case 'activate_contract': return { name: form.contract, code: form.code, arguments: bytes, canary_percent: Number(form.percent) };
    case 'promote_contract': return { name: form.contract, arguments: bytes };
    default: return { name: form.contract };
  }
}

export function contentOf(form: Form, title: string, now: number): Content {
  const actions = [{ contract: 'system', method: form.change, arguments: argumentsOf(form) }];
  return { kind: KINDS[form.change], member: null, title: form.title.trim() || title, deadline: now + Number(form.hours) * HOUR_MS, actions };
}
