// The node's own verifier, compiled for the browser. The chain id is the one thing it takes on trust, and that is pinned here.
import lightUrl from '../generated/light.wasm?url';

interface Light {
  memory: WebAssembly.Memory;
  reserve(bytes: number): number;
  verify(): number;
  verify_block(): number;
  answer_at(): number;
  answer_bytes(): number;
}

export interface Fact {
  kind: 'transaction' | 'receipt' | 'event' | 'state'; tx?: string; index?: number; contract?: string; name?: string;
  data?: string; outcome?: string; code?: string | null; fuel_used?: number; output_hash?: string; events_root?: string;
  calls?: { contract: string; method: string; arguments: string }[]; expiry?: number; bytes?: number;
  key?: string; value?: string | null; record?: unknown;
}
export interface Claim { chain: string; height: number; block: string; time_ms: number; fact: Fact }
export interface Signed { height: number; block: string; time_ms: number; validators: { key: string; power: number; signed: boolean }[] }

export class NotProven extends Error {}

let loading: Promise<Light> | null = null;

export function useLight(bytes: BufferSource): Promise<void> {
  loading = WebAssembly.instantiate(bytes, {}).then((made) => made.instance.exports as unknown as Light);
  return loading.then(() => undefined);
}

function light(): Promise<Light> {
  loading ??= fetch(lightUrl)
    .then((response) => {
      if (!response.ok) throw new Error(`the verifier could not be loaded: ${response.status}`);
      return response.arrayBuffer();
    })
    .then((bytes) => WebAssembly.instantiate(bytes, {}))
    .then((made) => made.instance.exports as unknown as Light)
    .catch((error) => {
      loading = null;
      throw error;
    });
  return loading;
}

export function fromHex(text: string): Uint8Array {
  if (text.length % 2 || /[^0-9a-f]/i.test(text)) throw new NotProven('not hexadecimal');
  return Uint8Array.from({ length: text.length / 2 }, (_, i) => parseInt(text.slice(2 * i, 2 * i + 2), 16));
}

function run<T>(module: Light, how: 'verify' | 'verify_block', parts: Uint8Array[]): T {
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  const at = module.reserve(total);
  if (!at) throw new NotProven('more bytes than a proof may have');
  let place = at;
  for (const part of parts) {
    new Uint8Array(module.memory.buffer, place, part.length).set(part);
    place += part.length;
  }
  const holds = module[how]() === 1;
  const bytes = new Uint8Array(module.memory.buffer, module.answer_at(), module.answer_bytes()).slice();
  const answer = JSON.parse(new TextDecoder().decode(bytes)) as T & { error?: string };
  if (!holds) throw new NotProven(answer.error ?? 'refused');
  return answer;
}

export async function verifyProof(chain: string, proof: Uint8Array): Promise<Claim> {
  return run<Claim>(await light(), 'verify', [fromHex(chain), proof]);
}

export async function verifyBlock(chain: string, anchor: Uint8Array, block: { header: unknown; certificate: unknown }): Promise<Signed> {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, anchor.length, true);
  const text = new TextEncoder().encode(JSON.stringify({ header: block.header, certificate: block.certificate }));
  return run<Signed>(await light(), 'verify_block', [fromHex(chain), length, anchor, text]);
}
