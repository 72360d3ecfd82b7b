// Shapes of the API, as docs/openapi.json has them; only what the pages use.

export interface Page<T> { head: number; items: T[]; next?: string | null }
export interface BlockSummary {
  height: number; hash: string; time: number; transactions: number; bytes: number; round: number;
  proposer: string; proposer_name?: string | null; state_root: string;
}
export interface Header {
  version: number; chain: string; height: number; time: number; parent: string; proposer: string;
  transactions_root: string; receipts_root: string; state_root: string; validators_hash: string; next_validators_hash: string;
}
export interface Certificate {
  height: number; round: number; block: string; signatures: { validator: number; signature: string }[];
}
export interface BlockDetail {
  head: number; summary: BlockSummary; header: Header; certificate: Certificate; transactions: string[];
}
export interface CallView { contract: string; method: string; arguments: string; arguments_value?: unknown }
export interface EventView { contract: string; name: string; index: number; data: string; fields?: unknown }
export interface Receipt {
  outcome: 'success' | 'failed'; call?: number; code?: string; message?: string; fuel_used: number;
  output_hash: string; events_root: string;
}
export interface TransactionView {
  id: string; height: number; index: number; block: string; time: number; bytes: number; expiry: number;
  calls: CallView[]; events: EventView[]; signers: string[]; receipt: Receipt; output: string; output_value?: unknown;
}
export interface TransactionStatus { status: 'unknown' | 'pending' | 'final'; head: number; transaction?: TransactionView }
export interface Condition {
  state: 'ok' | 'stalled' | 'syncing' | 'starting' | 'failed'; code: string; since_ms: number; missing: string[];
  reason_en: string; reason_zh: string; mend_en: string; mend_zh: string;
}
export interface NodeStatus {
  chain: string; chain_name: string; condition: Condition; head: number; head_hash: string; head_time: number;
  height: number; round: number; step: string; last_block_age_ms: number; member: string; node: string; node_name: string;
  role: string; syncing: boolean; uptime_ms: number; version: string; mempool_transactions: number; mempool_bytes: number;
  peers: { name: string; node: string; connected: boolean; head?: number | null }[];
  peers_connected: number; peers_expected: number; state_root: string;
}
export interface MemberNode { name: string; node: string; key: string; address: string; power: number }
export interface Member {
  name: string; title?: string | null; role: string; standing: string; active: boolean; accounts: number;
  admin_keys: string[]; admin_threshold: number; nodes: MemberNode[]; encryption_keys: { id: number; key: string; retired?: number | null }[];
}
export interface Account { account: string; key: string; member: string; name: string; roles: string[]; standing: string }
export interface Validator { key: string; node: string; name?: string | null; member?: string | null; power: number }
export interface Validators { hash: string; head: number; height: number; total_power: number; validators: Validator[] }
export interface Evidence { kind: string; node: string; name?: string | null; height: number; sequence: number }
export interface ContractSummary {
  name: string; version: number; standing: string; code_hash: string; deployed_at: number; previous?: string | null;
  canary?: { percent: number; since: number; code_hash: string } | null;
}
export type Title = { en?: string; zh?: string };
export type AbiType = string | { list: AbiType } | { option: AbiType } | { named: string };
export interface Field { name: string; type: AbiType; title?: Title }
export interface Method { name: string; kind: 'call' | 'query'; title?: Title; arguments?: Field[]; result?: AbiType }
export interface Abi {
  name: string; version: string; title?: Title; methods: Method[];
  events?: { name: string; title?: Title; fields?: Field[] }[]; errors?: { code: string; title?: Title }[];
  types?: Record<string, TypeDefinition>;
}
export interface TypeDefinition {
  title?: Title; struct?: Field[]; enum?: { name: string; title?: Title; fields?: Field[] }[];
}
export interface Contract extends ContractSummary { abi?: Abi | null; code_bytes: number }
export interface Tally { approving: number; rejecting: number; needed: number; entitled: number }
export interface Proposal {
  id: number; title: string; kind: string; state: string; proposer: string; proposer_member: string; member?: string | null;
  created: number; created_at: number; deadline: number; closed?: number | null; content: string; tally: Tally;
  failure?: { action: number; code: string; message: string } | null;
}
export interface ProposalDetail extends Proposal {
  actions: { contract: string; method: string; arguments: string; arguments_value?: unknown }[];
  ballots: { account: string; member: string; approve: boolean; height: number }[];
}
export interface DryRun {
  height: number; ok: boolean;
  actions: {
    index: number; ok: boolean; code?: string; message?: string; fuel_used: number; changed_count: number;
    abi?: { change: 'added' | 'removed' | 'changed'; part: string; name: string }[] | null;
  }[];
}
export interface Package { code_hash: string; member: string; code_bytes: number; uploaded: number; used: boolean; contracts: string[] }
export interface Problem {
  code: string; title: string; status: number; detail: string; mend?: string; where?: string | null; instance?: string | null;
  title_zh?: string | null; mend_zh?: string | null;
}
export interface Params { chain: string; chain_name: string; head: number; expiry_window: number; parameters?: Record<string, string> }
