// Shapes that the module `uplink` takes and gives: mappings as mapping files hold them, what is in a file, what would come of it.
import type { FieldRule } from '../private';

export interface FieldRules {
  from?: string | string[]; join?: string; value?: string; default?: string; keep_blanks?: boolean; codes?: Record<string, string>;
  format?: string; decimal?: string; thousands?: string; shift?: number; formula?: boolean; rows?: { split?: string; cells?: string; names?: string[] };
}
export interface PartyRules { member?: string; member_from?: string; codes?: Record<string, string>; person_from?: string; register?: boolean; split?: string }
export interface ReferenceRules { schema: string; from: string | string[]; split?: string; version?: number }
/** What becomes of rows that changed, as mapping files and the command name it. */
export const WHEN_CHANGED = ['reject', 'version', 'skip'] as const;
export type WhenChanged = (typeof WHEN_CHANGED)[number];
export interface Mapping {
  schema: string; schema_version?: number; sources?: string[]; encoding?: string; separator?: string; sheet?: string; records?: string; number: string[]; offset?: string; changed?: WhenChanged;
  public: string[]; sign: string[]; fields: Record<string, FieldRules>; parties: Record<string, PartyRules>; references: Record<string, ReferenceRules>;
}
export interface PartyRule { role: string; title_en: string; title_zh: string; subject: boolean; members: number; min: number; max: number; owner: boolean; signs: boolean }
export interface ReferenceRule { name: string; title_en: string; title_zh: string; category: string; schema: string | null; min: number; max: number }
export interface SchemaRecord {
  version: number; retired?: unknown;
  definition: { name: string; title_en: string; title_zh: string; category: string; fields: FieldRule[]; parties: PartyRule[]; references: ReferenceRule[]; purposes: { code: string; title_en: string; title_zh: string; readers: number; grade: number }[] };
}
/** The reason in English, and its parts: codes with the values that belong into their words. */
export interface EngineFault { code: string; place: string; reason: string; why: { code: string; values: string[] }[] }
export type Cell = string | { hidden: number } | null;
export interface Look {
  kind: string; columns: string[]; records: number; samples: Record<string, Cell[]>; fits: { schema: string; version: number; fit: number }[];
  broken: EngineFault | null;
  /** Of a workbook, and which of them was looked into. */
  sheets: string[]; sheet: string | null;
}
export interface Finding { field: string; rule: string; level: number; grade: number; count: number }
export interface SchemaSummary {
  schema: string; version: number; titles: [string, string]; documents: number; rejected: number; registers: number; public: string[]; on_chain: string[];
  private: Record<string, string[]>; readers: Record<string, string[]>; findings: Finding[]; looked_at: number; faults: Record<string, number>; shown: EngineFault[];
}
export interface Summary { schemas: SchemaSummary[]; documents: number; rejected: number; broken: EngineFault[] }
export type Shown = { value: unknown } | { hidden: number } | { rows: number };
export interface First { place: string; id: string; fields: { name: string; grade: number; shown: Shown }[]; references: number; parties: number }
/** By code what it is called and how it is mended, each in English and Chinese. */
export type Titles = Record<string, [[string, string], [string, string]]>;
export interface Checked { summary: Summary; first: First[]; fingerprint: string; titles: Titles; rejected_name: string }
/** A row that would be a new version: names of what changed, and the earlier version that said the same. */
export interface Change { place: string; number?: string; schema: string; document: string; version: number; fields: string[]; again?: number }
export interface Changes { new: number; changed: number; again: number; unchanged: number; blocked: number; rows: Change[]; faults: EngineFault[] }
export interface Compared { changes: Changes; titles: Titles }
/** A document to be sent, as its first version or behind another. */
export interface Row { n: number; id: string; content: string; place: string; version: number }
export interface Rows { rows: Row[]; end: boolean; rejected: number; kept_back: number; skipped: number }
/** `open` are references that lead to the version in force: document and version. */
export interface Sealed { version: number; root: string; calls: { contract: string; method: string; arguments: string }[]; register: string[]; open: [string, number][]; delivery: Uint8Array }
/** Why a row is rejected on its way: with a code of node, contract or engine and what was said. */
export type Why = 'moved_on' | 'staged' | { refused: [string, string] } | { hindered: [string, string] };
/** A version that is on the chain, as far as this browser proved it. */
export interface Receipt { place: string; id: string; version: number; tx: string | null; height: number; time: number | null }
