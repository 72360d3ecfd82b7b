// Mappings between the page's form and what the module takes: nothing empty, nothing that the form does not know is lost.
import type { FieldRules, Mapping, PartyRules, ReferenceRules } from './types';

type Loose = Omit<Mapping, 'fields'> & { fields?: Record<string, FieldRules | string> };

/** As mapping files hold it, with every part there. */
export function whole(loose: Partial<Loose> & { schema: string }): Mapping {
  const fields = Object.fromEntries(Object.entries(loose.fields ?? {}).map(([name, rules]) => [name, typeof rules === 'string' ? { from: rules } : rules]));
  return { ...loose, number: loose.number ?? [], public: loose.public ?? [], sign: loose.sign ?? [], fields, parties: loose.parties ?? {}, references: loose.references ?? {} };
}

const columnsOf = (from: string | string[] | undefined): string[] => (Array.isArray(from) ? from : from ? [from] : []);

const isUsed = (rules: FieldRules): boolean => rules.value !== undefined ? rules.value !== '' : columnsOf(rules.from).length > 0;

function cleanField(rules: FieldRules): FieldRules {
  const clean: FieldRules = { ...rules };
  if (clean.value !== undefined) delete clean.from;
  for (const key of ['default', 'format', 'decimal', 'thousands', 'join'] as const) if (!clean[key]) delete clean[key];
  if (!clean.shift) delete clean.shift;
  // A word without a code is none of the mapping: its row is rejected.
  if (clean.codes) clean.codes = Object.fromEntries(Object.entries(clean.codes).filter(([, code]) => code));
  if (clean.codes && !Object.keys(clean.codes).length) delete clean.codes;
  return clean;
}

const cleanParty = (rules: PartyRules): PartyRules => {
  const clean = { ...rules };
  for (const key of ['member', 'member_from', 'person_from', 'split'] as const) if (!clean[key]) delete clean[key];
  return clean;
};

/** What is sent to the module and saved as a file. */
export function clean(mapping: Mapping): Mapping {
  const fields = Object.entries(mapping.fields).filter(([, rules]) => isUsed(rules)).map(([name, rules]) => [name, cleanField(rules)]);
  const parties = Object.entries(mapping.parties).map(([role, rules]) => [role, cleanParty(rules)] as const)
    .filter(([, rules]) => rules.member || rules.member_from || rules.person_from);
  const references = Object.entries(mapping.references).filter(([, rules]) => columnsOf((rules as ReferenceRules).from).length > 0 && rules.schema);
  const out: Mapping = { ...mapping, number: mapping.number.filter(Boolean), fields: Object.fromEntries(fields), parties: Object.fromEntries(parties), references: Object.fromEntries(references) };
  for (const key of ['offset', 'encoding', 'separator', 'sheet', 'records'] as const) if (!out[key]) delete out[key];
  return JSON.parse(JSON.stringify(out)) as Mapping;
}

/** What a schema wants and the mapping does not have yet: the names of fields and roles. */
export function missing(mapping: Mapping, definition: { fields: { name: string; required: boolean }[]; parties: { role: string; min: number }[]; references: { name: string; min: number }[] }): string[] {
  const has = clean(mapping);
  return [
    ...(has.number.length ? [] : ['number']),
    ...definition.fields.filter((rule) => rule.required && !has.fields[rule.name]).map((rule) => rule.name),
    ...definition.parties.filter((rule) => rule.min > 0 && !has.parties[rule.role]).map((rule) => rule.role),
    ...definition.references.filter((rule) => rule.min > 0 && !has.references[rule.name]).map((rule) => rule.name),
  ];
}
