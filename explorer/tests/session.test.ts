// @vitest-environment node
// Whose key is open, and until when: with the reader's side and the node played by the test.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

type Listener = (event?: unknown) => void;
interface Played { closed: boolean; onbroken: (() => void) | null; unlock: (account: string, key?: string) => void; refuse: () => void; json: (call: string) => Promise<unknown>; close: () => void }

const readers: Played[] = [];
vi.mock('../src/lib/start-reader', () => ({
  startReader: async () => {
    let [resolve, reject]: [(value: unknown) => void, (error: Error) => void] = [() => undefined, () => undefined];
    const unlocked = new Promise((done, fail) => { [resolve, reject] = [done, fail]; });
    unlocked.catch(() => null);
    const reader: Played = {
      closed: false, onbroken: null,
      unlock: (account, key = '') => resolve({ account, key }), refuse: () => reject(new Error('keystore.wrong_password')),
      json: async (call) => {
        if (call === 'unlock') return unlocked;
        if (reader.closed) throw new Error('closed');
        return { 'vouch-key': call };
      },
      close: () => { reader.closed = true; reject(new Error('closed')); },
    };
    readers.push(reader);
    return reader;
  },
}));

const listeners = new Map<string, Set<Listener>>();
const listen = { addEventListener: (name: string, to: Listener) => { listeners.set(name, (listeners.get(name) ?? new Set()).add(to)); }, removeEventListener: (name: string, to: Listener) => listeners.get(name)?.delete(to) };
const happens = (name: string) => [...(listeners.get(name) ?? [])].forEach((to) => to());
let answer: (account: object) => void = () => undefined;

vi.stubGlobal('location', { hostname: 'node1.example', port: '7480', protocol: 'https:' });
vi.stubGlobal('document', { documentElement: { lang: 'en' }, ...listen });
vi.stubGlobal('localStorage', { getItem: () => null, setItem: () => undefined });
for (const [name, value] of Object.entries(listen)) vi.stubGlobal(name, value);
vi.stubGlobal('fetch', () => new Promise((resolve) => { answer = (account) => resolve(new Response(JSON.stringify({ account, node_member: 'works' }))); }));

const { IDLE_MS, session } = await import('../src/lib/session.svelte');
const file = new Blob(['{}']);
const clerk = { name: 'clerk', member: 'works' };
const turns = async () => { for (let i = 0; i < 20; i += 1) await Promise.resolve(); };
const started = async (count: number) => { await vi.waitFor(() => expect(readers.length).toBe(count)); await turns(); };

async function signedIn() {
  const signing = session.signIn(file, 'pw');
  await started(readers.length + 1);
  readers.at(-1)?.unlock('aa');
  const asked = answer;
  await vi.waitFor(() => expect(answer).not.toBe(asked));
  answer(clerk);
  await signing;
}

describe('a session', () => {
  beforeEach(() => { readers.length = 0; });
  afterEach(() => { session.signOut(''); vi.useRealTimers(); });

  it('ends with the reader that holds the key', async () => {
    await signedIn();
    expect([session.who?.account, session.actor]).toEqual([clerk, 'aa']);
    session.signOut('asked');
    expect([session.who, session.actor, session.ended, readers[0]?.closed]).toEqual([null, '', 'asked', true]);
    expect(() => session.reader()).toThrow();
  });

  it('does not begin when it was called off, wherever it was', async () => {
    const opening = session.signIn(file, 'pw');
    session.signOut('');
    await expect(opening).rejects.toThrow();
    const unlocking = session.signIn(file, 'pw');
    await started(readers.length + 1);
    session.signOut('');
    readers.at(-1)?.unlock('aa');
    await expect(unlocking).rejects.toThrow();
    const asking = session.signIn(file, 'pw');
    await started(readers.length + 1);
    readers.at(-1)?.unlock('aa');
    const asked = answer;
    await vi.waitFor(() => expect(answer).not.toBe(asked));
    happens('pagehide');
    answer(clerk);
    await expect(asking).rejects.toThrow();
    expect([session.who, session.actor]).toEqual([null, '']);
    expect(readers.every((reader) => reader.closed)).toBe(true);
  });

  it('holds one key at a time', async () => {
    const first = session.signIn(file, 'pw');
    const failed = expect(first).rejects.toThrow();
    await started(1);
    await signedIn();
    await failed;
    expect(readers.map((reader) => reader.closed)).toEqual([true, false]);
    readers[0]?.onbroken?.();
    expect(session.who?.account).toEqual(clerk);
    readers[1]?.onbroken?.();
    expect([session.who, session.ended]).toEqual([null, 'failed']);
  });

  it('forgets what a wrong password opened', async () => {
    const signing = session.signIn(file, 'pw');
    const failed = expect(signing).rejects.toThrow('wrong_password');
    await started(1);
    readers[0]?.refuse();
    await failed;
    expect([session.who, readers[0]?.closed]).toEqual([null, true]);
  });

  it('is not for whoever comes next', async () => {
    await signedIn();
    const { who } = session;
    session.still(who);
    await signedIn();
    expect(() => session.still(who)).toThrow();
    expect(() => session.still(null)).toThrow();
    session.still(session.who);
  });

  it('ends by either clock, also when no timer ran and the first touch comes too late', async () => {
    for (const clock of [Date, performance]) {
      await signedIn();
      happens('keydown');
      expect(session.who?.account).toEqual(clerk);
      const now = clock.now.bind(clock);
      const later = vi.spyOn(clock, 'now').mockImplementation(() => now() + IDLE_MS - 30_000);
      happens('visibilitychange');
      expect([session.who !== null, session.ending]).toEqual([true, true]);
      later.mockImplementation(() => now() + IDLE_MS + 1);
      happens('pointerdown');
      expect([session.who, session.ended, session.ending]).toEqual([null, 'idle', false]);
      later.mockRestore();
    }
  });

  it('is an administrator’s when a member names the key and the registry has no account for it', async () => {
    const told = [
      { status: 401, body: { code: 'caller.unknown', status: 401, title: '', detail: '' } },
      { status: 200, body: { items: [{ name: 'works', admin_keys: ['ed25519:bb'] }] } }, { status: 200, body: { member: 'tax' } },
    ];
    const paths: string[] = [];
    const answers = [...told];
    const played = vi.spyOn(globalThis, 'fetch').mockImplementation(async (path) => {
      paths.push(String(path));
      const next = answers.shift();
      return new Response(JSON.stringify(next?.body), { status: next?.status });
    });
    const opening = async (key: string) => {
      answers.splice(0, answers.length, ...told);
      const signing = session.signIn(file, 'pw');
      await started(readers.length + 1);
      readers.at(-1)?.unlock('aa', key);
      return signing;
    };
    await opening('ed25519:bb');
    expect(session.who).toMatchObject({ account: null, administers: 'works', node_member: 'tax' });
    expect([session.key, session.foreign, paths]).toEqual(['ed25519:bb', false, ['/api/v1/account', '/api/v1/members', '/api/v1/status']]);
    session.signOut('asked');
    expect(session.key).toBe('');
    await expect(opening('ed25519:cc')).rejects.toThrow();
    expect(session.who).toBeNull();
    played.mockRestore();
  });

  it('ends when the page is put away', async () => {
    for (const event of ['pagehide', 'freeze']) {
      await signedIn();
      happens(event);
      expect([session.who, session.ended, readers.at(-1)?.closed]).toEqual([null, 'left', true]);
    }
  });
});
