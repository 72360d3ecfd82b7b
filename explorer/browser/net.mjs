// A real consortium of four nodes for the browser tests, something on its chain, and a proxy that can be told to lie.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const vouch = process.env.VOUCH_BIN;
const contracts = process.env.VOUCH_CONTRACTS;

export const sha256 = (text) => createHash('sha256').update(text).digest('hex');

export async function startNetwork(port) {
  if (!vouch || !contracts) throw new Error('VOUCH_BIN and VOUCH_CONTRACTS must say where the program and the contracts are: ./run browser');
  const folder = mkdtempSync(join(tmpdir(), 'vouch-browser-'));
  const child = spawn(vouch, ['dev', 'net', '--dir', folder, '--port', String(port), '--idle-interval-ms', '4000',
    '--accounts', '8', '--contract', `notary=${contracts}/notary.wasm`], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stdout.on('data', (data) => { said += data; });
  child.stderr.on('data', (data) => { said += data; });
  const run = (...args) => {
    const out = execFileSync(vouch, ['--json', ...args], {
      cwd: folder, encoding: 'utf8', env: { ...process.env, VOUCH_HOME: join(folder, 'nodes/platform.node') }, stdio: ['ignore', 'pipe', 'pipe'],
    });
    return JSON.parse(out);
  };
  const stop = async () => {
    if (child.exitCode === null) {
      child.kill('SIGTERM');
      await new Promise((resolve) => { child.once('exit', resolve); setTimeout(resolve, 20_000).unref(); });
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const api = `https://127.0.0.1:${port + 100}`;
  for (let turn = 0; ; turn += 1) {
    if (child.exitCode !== null || turn > 240) {
      await stop();
      throw new Error(`the network did not come up: ${said}`);
    }
    try {
      if (run('status').condition.state === 'ok') break;
    } catch {
      // Not yet.
    }
    await new Promise((resolve) => { setTimeout(resolve, 250); });
  }
  return { folder, api, run, stop };
}

/** Registrations, one that fails, a parameter that waits for votes and one that is decided. */
export function fill(net) {
  const register = (text, key = 'platform') => net.run('contract', 'call', 'notary', 'register', '--key', `accounts/${key}.account-00.key`,
    '--args', JSON.stringify({ commitment: sha256(text), category: 'invoice', reference: text }));
  const first = register('invoice 2026-001');
  for (const name of ['2026-002', '2026-003', '2026-004']) register(`invoice ${name}`);
  let failed;
  try {
    register('invoice 2026-001');
  } catch (error) {
    failed = JSON.parse(String(error.stdout) || '{}');
  }
  net.run('params', 'set', 'block_bytes_max=4000000', '--key', 'admins/platform.key');
  return { first, failed, register };
}

const nibble = (text, at) => text.slice(0, at) + (text[at] === '0' ? '1' : '0') + text.slice(at + 1);

/** How a node may lie; each changes an answer of the API on its way. */
const LIES = {
  none: (_, value) => value,
  header: (path, value) => {
    if (!/^\/api\/v1\/blocks\/\d+$/.test(path)) return value;
    const root = nibble(value.header.state_root, 5);
    return { ...value, header: { ...value.header, state_root: root }, summary: { ...value.summary, state_root: root } };
  },
  certificate: (path, value) => {
    if (!/^\/api\/v1\/blocks\/\d+$/.test(path)) return value;
    const signatures = value.certificate.signatures.map((entry, i) => (i ? entry : { ...entry, signature: nibble(entry.signature, 20) }));
    return { ...value, certificate: { ...value.certificate, signatures } };
  },
  proof: (path, value) => (/\/proof$/.test(path) ? { ...value, proof: nibble(value.proof, value.proof.length - 40) } : value),
  field: (path, value) => {
    if (!/^\/api\/v1\/transactions\/[0-9a-f]{64}$/.test(path) || !value.transaction) return value;
    const calls = value.transaction.calls.map((call, i) => (i ? call : { ...call, arguments: nibble(call.arguments, 3) }));
    return { ...value, transaction: { ...value.transaction, calls } };
  },
  outcome: (path, value) => {
    if (!/^\/api\/v1\/transactions\/[0-9a-f]{64}$/.test(path) || !value.transaction) return value;
    const { code, call, message, ...receipt } = value.transaction.receipt;
    return { ...value, transaction: { ...value.transaction, receipt: { ...receipt, outcome: receipt.outcome === 'success' ? 'failed' : 'success' } } };
  },
  validators: (path, value) => (path === '/api/v1/validators'
    ? { ...value, validators: value.validators.map((v, i) => (i ? v : { ...v, power: v.power + 1 })) } : value),
};

export async function startProxy(api) {
  const proxy = { lie: 'none', port: 0, close: () => {} };
  const server = http.createServer((request, response) => {
    const lie = LIES[proxy.lie];
    const headers = { ...request.headers, host: new URL(api).host };
    const upstream = https.request(`${api}${request.url}`, { method: request.method, headers, rejectUnauthorized: false }, (answer) => {
      const path = request.url.split('?')[0];
      const isJson = /application\/json/.test(answer.headers['content-type'] ?? '');
      if (proxy.lie === 'none' || !isJson) {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
        return;
      }
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => {
        const body = Buffer.from(JSON.stringify(lie(path, JSON.parse(Buffer.concat(parts)))));
        response.writeHead(answer.statusCode, { ...answer.headers, 'content-length': body.length });
        response.end(body);
      });
    });
    upstream.on('error', () => response.destroy());
    response.on('close', () => upstream.destroy());
    request.pipe(upstream);
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  proxy.port = server.address().port;
  proxy.close = () => { server.closeAllConnections(); server.close(); };
  return proxy;
}
