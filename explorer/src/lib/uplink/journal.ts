// Which rows are final, in this browser: ids, keyed hashes and transactions, no values. It saves work; what prevents a second
// document is the id, which the chain takes once.

/** What is noted of a row's document. `parts` tell later what changed; `open` says that a version behind may have been sent. Entries of
 *  before have neither, and are of the first version. */
export interface Final { content: string; tx: string | null; height: number; time: number | null; version?: number; parts?: string; open?: boolean }

const [NAME, STORE] = ['vouch-uplink', 'finals'];

const done = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('the browser’s store does not answer'));
  });

export class Journal {
  #database: IDBDatabase | null;
  #memory = new Map<string, Final>();
  #scope: string;

  private constructor(database: IDBDatabase | null, scope: string) {
    this.#database = database;
    this.#scope = scope;
  }

  /** For a chain and a key of ids. Without a store it lasts as long as the page. */
  static async open(chain: string, fingerprint: string): Promise<Journal> {
    const scope = `${chain}:${fingerprint}:`;
    try {
      const asked = indexedDB.open(NAME, 1);
      asked.onupgradeneeded = () => { asked.result.createObjectStore(STORE); };
      return new Journal(await done(asked), scope);
    } catch {
      return new Journal(null, scope);
    }
  }

  async get(id: string): Promise<Final | undefined> {
    const known = this.#memory.get(id);
    if (known || !this.#database) return known;
    return done(this.#database.transaction(STORE).objectStore(STORE).get(this.#scope + id) as IDBRequest<Final | undefined>);
  }

  async put(id: string, final: Final): Promise<void> {
    if (!this.#database) {
      this.#memory.set(id, final);
      return;
    }
    await done(this.#database.transaction(STORE, 'readwrite').objectStore(STORE).put(final, this.#scope + id));
  }

  close() {
    this.#database?.close();
  }
}
