// Runs the module `reader` apart from the page: a key that is opened here never leaves this worker's memory, and ends with it.
interface Exports extends Record<string, unknown> {
  memory: WebAssembly.Memory;
  reserve(bytes: number): number;
  answer_at(): number;
  answer_bytes(): number;
  forget(): void;
}
type Ask = { id: number; module: ArrayBuffer } | { id: number; call: string; parts: Uint8Array[]; file?: Blob };

/** In workers only, and not among the types of a page. */
declare class FileReaderSync { readAsArrayBuffer(blob: Blob): ArrayBuffer }

let loaded: Promise<Exports> | undefined;
let file: Blob | undefined;
let current = 0;

function load(bytes: ArrayBuffer): Promise<Exports> {
  let memory: WebAssembly.Memory | undefined;
  const read_at = (low: number, high: number, to: number, length: number): number => {
    try {
      const at = (high >>> 0) * 2 ** 32 + (low >>> 0);
      if (!file || !memory) return -1;
      // Where packages are read, reading waits: the verifier asks for one piece after the other.
      const bytes = new Uint8Array(new FileReaderSync().readAsArrayBuffer(file.slice(at, at + (length >>> 0))));
      new Uint8Array(memory.buffer, to >>> 0, bytes.length).set(bytes);
      return bytes.length;
    } catch {
      return -1;
    }
  };
  /** How far something long is. */
  const seen = (count: number): void => self.postMessage({ id: current, seen: count >>> 0 });
  return WebAssembly.instantiate(bytes, { host: { read_at, seen } }).then((made) => {
    const exports = made.instance.exports as unknown as Exports;
    memory = exports.memory;
    return exports;
  });
}

function run(module: Exports, call: string, parts: Uint8Array[]): { done: boolean; bytes: Uint8Array } {
  const at = module.reserve(parts.reduce((sum, part) => sum + part.length, 0)) >>> 0;
  if (!at) throw new Error('more bytes than the reader takes');
  let place = at;
  for (const part of parts) {
    new Uint8Array(module.memory.buffer, place, part.length).set(part);
    place += part.length;
    part.fill(0);
  }
  const done = (module[call] as () => number)() === 1;
  const bytes = new Uint8Array(module.memory.buffer, module.answer_at() >>> 0, module.answer_bytes()).slice();
  module.forget();
  return { done, bytes };
}

self.onmessage = async (event: MessageEvent<Ask>) => {
  const asked = event.data;
  try {
    if ('module' in asked) {
      loaded = load(asked.module);
      await loaded;
      self.postMessage({ id: asked.id, done: true, bytes: new Uint8Array() });
      return;
    }
    if (!loaded) throw new Error('the reader is not loaded');
    const module = await loaded;
    [file, current] = [asked.file, asked.id];
    const { done, bytes } = run(module, asked.call, asked.parts);
    self.postMessage({ id: asked.id, done, bytes }, { transfer: [bytes.buffer] });
  } catch (error) {
    // Where the module itself stopped, its memory is in the middle of something: nothing more is asked of it.
    const isDead = error instanceof WebAssembly.RuntimeError;
    if (isDead) loaded = undefined;
    self.postMessage({ id: asked.id, broken: String(error), isDead });
  } finally {
    file = undefined;
  }
};
