// Where the explorer has its modules from: this node. Each runs in a worker of its own.
import readerUrl from '../generated/reader.wasm?url';
import uplinkUrl from '../generated/uplink.wasm?url';
import { unreachable } from './api';
import { Reader } from './reader';

const modules = new Map<string, Promise<ArrayBuffer>>();

async function start(url: string): Promise<Reader> {
  const module = modules.get(url) ?? fetch(url).then((response) => {
    if (!response.ok) throw new Error(`a module could not be loaded: ${response.status}`);
    return response.arrayBuffer();
  }, unreachable);
  modules.set(url, module);
  const bytes = await module.catch((error: unknown) => {
    modules.delete(url);
    throw error;
  });
  return Reader.start(new Worker(new URL('./reader.worker.ts', import.meta.url), { type: 'module' }), bytes.slice(0));
}

/** Keys, signatures, readings. */
export const startReader = (): Promise<Reader> => start(readerUrl);

/** Bulk uplink: reads files, checks and seals; knows no key of an account. */
export const startUplink = (): Promise<Reader> => start(uplinkUrl);
