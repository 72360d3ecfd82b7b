// The other side of reader.worker.ts: asks it and tells its refusals as problems.
import type { Problem } from './types';

export class ReaderFault extends Error {
  constructor(readonly problem: Problem & { title_zh?: string | null; mend_zh?: string | null }) {
    super(problem.detail);
  }
}

interface Answer { id: number; done?: boolean; bytes?: Uint8Array; broken?: string; isDead?: boolean; seen?: number }
interface Waiting { resolve(bytes: Uint8Array): void; reject(error: Error): void; seen?: ((count: number) => void) | undefined }

const broken = (detail: string) => new ReaderFault({ code: 'client.failed', status: 0, title: '', detail });

export class Reader {
  /** Called when it stopped by itself: then nothing more is to be had of it. */
  onbroken: (() => void) | null = null;

  #worker: Worker;
  #waiting = new Map<number, Waiting>();
  #next = 1;
  #closed = false;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.onmessage = (event: MessageEvent<Answer>) => {
      const { id, done, bytes, broken: why, isDead, seen } = event.data;
      const waiting = this.#waiting.get(id);
      if (seen !== undefined) {
        waiting?.seen?.(seen);
        return;
      }
      this.#waiting.delete(id);
      if (why !== undefined) waiting?.reject(broken(why));
      else if (done) waiting?.resolve(bytes ?? new Uint8Array());
      else waiting?.reject(new ReaderFault(JSON.parse(new TextDecoder().decode(bytes)) as Problem));
      if (isDead) this.#stopped(why ?? 'the reader stopped');
    };
    worker.onerror = (event) => {
      event.preventDefault();
      this.#stopped(event.message || 'the reader stopped');
    };
  }

  static async start(worker: Worker, module: ArrayBuffer): Promise<Reader> {
    const reader = new Reader(worker);
    try {
      await reader.#post((id) => worker.postMessage({ id, module }, [module]));
    } catch (error) {
      reader.close();
      throw error;
    }
    return reader;
  }

  #stopped(why: string) {
    if (this.#closed) return;
    this.close(why);
    this.onbroken?.();
  }

  #post(send: (id: number) => void, seen?: (count: number) => void): Promise<Uint8Array> {
    if (this.#closed) return Promise.reject(broken('the reader is closed'));
    const id = this.#next;
    this.#next += 1;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject, seen });
      send(id);
    });
  }

  /** The parts go over to the worker: nothing of them, a password for one, stays in the page. `seen` hears how far a long call is. */
  call(call: string, parts: Uint8Array[], file?: Blob, seen?: (count: number) => void): Promise<Uint8Array> {
    return this.#post((id) => this.#worker.postMessage({ id, call, parts, file }, parts.map((part) => part.buffer as ArrayBuffer)), seen);
  }

  async json<T>(call: string, parts: Uint8Array[], file?: Blob, seen?: (count: number) => void): Promise<T> {
    return JSON.parse(new TextDecoder().decode(await this.call(call, parts, file, seen))) as T;
  }

  /** What is in its memory is gone with it. */
  close(why = 'the reader was closed') {
    this.#closed = true;
    this.#worker.terminate();
    for (const waiting of this.#waiting.values()) waiting.reject(broken(why));
    this.#waiting.clear();
  }
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** Four bytes with the length of a part, little-endian, and the part. */
export function withLength(part: Uint8Array): Uint8Array[] {
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, part.length, true);
  return [length, part];
}

/** Whether somebody between browser and node could change the page, which is where a key is opened. */
export const isUnprotected = (protocol: string, host: string): boolean =>
  protocol !== 'https:' && !/^(localhost|127(\.\d+){3}|\[::1\])$/.test(host);
