// A real consortium of four nodes for the browser tests, something on its chain, and a proxy that can be told to lie.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { built, builtAt } from './page.mjs';

const vouch = process.env.VOUCH_BIN;
const contracts = process.env.VOUCH_CONTRACTS;

/** In the order of their nodes, and in which accounts are dealt out to them. */
export const MEMBERS = ['platform', 'institution', 'enterprise', 'regulator'];
export const accountKey = (member) => `accounts/${member}.account-0${MEMBERS.indexOf(member)}.key`;

export const sha256 = (text) => createHash('sha256').update(text).digest('hex');

export async function startNetwork(port) {
  if (!vouch || !contracts) throw new Error('VOUCH_BIN and VOUCH_CONTRACTS must say where the program and the contracts are: ./run browser');
  const folder = mkdtempSync(join(tmpdir(), 'vouch-browser-'));
  const child = spawn(vouch, ['dev', 'net', '--dir', folder, '--port', String(port), '--idle-interval-ms', '4000',
    '--accounts', '8', '--contract', `notary=${contracts}/notary.wasm`], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stdout.on('data', (data) => { said += data; });
  child.stderr.on('data', (data) => { said += data; });
  const at = (member, ...args) => {
    try {
      const out = execFileSync(vouch, ['--json', ...args], {
        cwd: folder, encoding: 'utf8', env: { ...process.env, VOUCH_HOME: join(folder, `nodes/${member}.node`) }, stdio: ['ignore', 'pipe', 'pipe'],
      });
      return JSON.parse(out);
    } catch (error) {
      error.message += `\n${error.stderr ?? ''}${error.stdout ?? ''}`;
      throw error;
    }
  };
  const run = (...args) => at('platform', ...args);
  /** A new key file under a password, which comes over a descriptor as for every program. */
  const keyWithPassword = (name, password) => {
    const [file, typed] = [join(folder, name), join(folder, `${name}.typed`)];
    writeFileSync(typed, `${password}\n`, { mode: 0o600 });
    const descriptor = openSync(typed, 'r');
    const made = execFileSync(vouch, ['--json', 'key', 'generate', file], {
      encoding: 'utf8', env: { ...process.env, VOUCH_PASSWORD_FD: '3' }, stdio: ['ignore', 'pipe', 'pipe', descriptor],
    });
    closeSync(descriptor);
    rmSync(typed);
    return { file, ...JSON.parse(made) };
  };
  const stop = async () => {
    if (child.exitCode === null) {
      child.kill('SIGTERM');
      await new Promise((resolve) => { child.once('exit', resolve); setTimeout(resolve, 20_000).unref(); });
    }
    rmSync(folder, { recursive: true, force: true });
  };
  const apiOf = (member) => `https://127.0.0.1:${port + 100 + MEMBERS.indexOf(member)}`;
  const api = apiOf('platform');
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
  return { folder, api, apiOf, at, run, keyWithPassword, stop };
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

/** A schema of one's own, without files: whose parties may be persons or members, and what its documents name. */
function schema(name, [en, zh], category, { fields, references = [], signs = false, days = 0, purposes = [] }) {
  // An identity is its owner's own: nobody reads it for being named beside it.
  const readers = category === 'Identity' ? 15 : 31;
  const field = (of, kind, grade, open) => ({ name: of, title_en: of, title_zh: of, kind, grade, public: open, required: false, readers, about: null });
  const party = (role, title, of) => ({ role, title_en: title[0], title_zh: title[1], subject: false, members: 0, min: 0, max: 2, owner: true, recipient: false, signs: false, ...of });
  return {
    name, title_en: en, title_zh: zh, category, fields: fields.map((of) => field(...of)),
    parties: [
      party('worker', ['Gig worker', '灵活就业人员'], { subject: true, min: 1, max: 1 }),
      // An identity has one owner and no other party.
      ...(category === 'Identity' ? [] : [party('client', ['Enterprise', '用工企业'], { members: 5, owner: false, signs })]),
    ],
    references: references.map(([of, to, title, max = 4]) => ({ name: of, title_en: title[0], title_zh: title[1], category: to, schema: null, min: 0, max, same_owner: true, disputed: true })),
    purposes, retention_days: days,
  };
}

const SCHEMAS = [
  schema('worker-card', ['Identity of a worker', '从业人员身份'], 'Identity', { fields: [['name', 'Text', 3, false], ['result', 'Code', 1, true]] }),
  schema('framework', ['Framework contract', '服务协议'], 'Contract', {
    fields: [['number', 'Text', 1, true], ['rate', 'Decimal', 3, false]], references: [['identity', 'Identity', ['Identity', '身份']]], signs: true,
  }),
  schema('shift', ['Shift', '结算单'], 'Transaction', {
    fields: [['number', 'Text', 1, true], ['income', 'Decimal', 3, false]], references: [['contract', 'Contract', ['Contract', '合约']]], days: 3650,
  }),
  schema('payslip', ['Payslip', '工资单'], 'Transaction', {
    references: [['contract', 'Contract', ['Contract', '合约']]],
    fields: [['number', 'Text', 1, true], ['income', 'Decimal', 3, false], ['lines', 'Rows', 3, false], ['receipt', 'Attachment', 3, false], ['id_number', 'Text', 4, false], ['paid', 'Boolean', 2, false]],
    purposes: [{ code: 'settlement', title_en: 'Settlement', title_zh: '结算', readers: 31, grade: 3 }, { code: 'supervision', title_en: 'Supervision', title_zh: '监管', readers: 8, grade: 4 }],
  }),
  schema('bill', ['Bill', '票据'], 'Invoice', { fields: [['number', 'Text', 1, true], ['total', 'Decimal', 3, false]], references: [['shifts', 'Transaction', ['Shifts', '结算单'], 8]] }),
  schema('finding', ['Finding', '风控结论'], 'Risk', { fields: [['level', 'Code', 1, true], ['facts', 'Text', 3, false]], references: [['about', 'Transaction', ['About', '涉及结算单']]] }),
];

/** Documents of all five categories that stand on each other: signed, revised, revoked, granted, disputed, asked to be erased. */
export function fillDocuments(net) {
  const admins = MEMBERS.map((name) => `admins/${name}.key`).join(',');
  const file = (name, value) => {
    const path = join(net.folder, name);
    writeFileSync(path, typeof value === 'string' ? value : JSON.stringify(value));
    return path;
  };
  const by = (member, ...args) => net.at(member, ...args, '--key', accountKey(member));
  net.run('dev', 'schemas', '--dir', net.folder, '--contracts', contracts);
  for (const one of SCHEMAS) net.run('schema', 'register', file(`${one.name}.schema.json`, one), '--key', admins);
  const arbiters = { contract: 'documents', method: 'set_arbiters', arguments: { members: ['platform'] } };
  net.run('gov', 'propose', 'documents', '--action', JSON.stringify(arbiters), '--title', 'Arbiters', '--key', admins);
  const alias = '5a'.repeat(32);
  const person = `subject:${alias}`;
  by('institution', 'subject', 'register', '--alias', alias);
  const offered = by('institution', 'relation', 'begin', 'receives', 'enterprise', person, '--via', 'institution');
  by('enterprise', 'relation', 'accept', String(offered.output_value));
  by('regulator', 'relation', 'begin', 'regulates', 'regulator', 'everyone');
  let count = 0;
  const submit = (of, values, references = [], { client = false, more = [] } = {}) => {
    count += 1;
    const open = SCHEMAS.find((one) => one.name === of).fields.filter((field) => field.public).map((field) => field.name).filter((name) => name in values);
    const parties = client ? { worker: person, client: 'enterprise' } : { worker: person };
    const named = references.map(([name, id]) => ({ name, id, version: 1 }));
    return by('institution', 'doc', 'submit', file(`d${count}.json`, { schema: of, parties, public: open, values, references: named }), ...more).id;
  };
  const card = submit('worker-card', { name: 'Lin Ceshi', result: 'passed' });
  const contract = submit('framework', { number: 'HT-2026-00931', rate: '0.06' }, [['identity', card]], { client: true });
  by('enterprise', 'doc', 'sign', contract, '--version', '1');
  const shifts = [1, 2, 3].map((n) => submit('shift', { number: `JS-2026-11-0${n}`, income: `${n}80.00` }, [['contract', contract]]));
  const bill = submit('bill', { number: 'FP-2026-0077', total: '1080.00' }, shifts.map((id) => ['shifts', id]));
  const finding = submit('finding', { level: 'low', facts: 'none' }, [['about', shifts[0]]]);
  submit('finding', { level: 'medium', facts: 'none' }, [['about', shifts[0]]], { more: ['--revise', finding] });
  const waiting = submit('framework', { number: 'HT-2026-00932', rate: '0.07' }, [['identity', card]], { client: true });
  const revoked = submit('worker-card', { name: 'Wang Ceshi', result: 'failed' });
  by('institution', 'doc', 'revoke', revoked, '--code', 'typo');
  by('institution', 'doc', 'grant', contract, '--to', 'platform', '--field', 'rate', '--purpose', 'credit');
  const dispute = by('enterprise', 'doc', 'dispute', 'open', shifts[1], '--arbiter', 'platform', '--code', 'unpaid', '--text', file('claim.txt', 'A shift was not paid.'));
  by('institution', 'doc', 'dispute', 'answer', '1', '--text', file('answer.txt', 'It was paid on the fifth.'));
  by('institution', 'doc', 'erase', shifts[2], '--code', 'consent');
  return { card, contract, shifts, bill, finding, waiting, revoked, dispute, submit, person, by, file, bytes: (name, content) => writeFileSync(join(net.folder, name), content) };
}

const nibble = (text, at) => text.slice(0, at) + (text[at] === '0' ? '1' : '0') + text.slice(at + 1);

const restated = (disclosure) => Buffer.from(Buffer.from(disclosure, 'base64url').toString().replace('1280.50', '1280.51')).toString('base64url');

/** How a node may lie; each changes an answer of the API on its way. */
export const LIES = {
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
  document: (path, value) => (/^\/api\/v1\/documents\/[0-9a-f]{32}$/.test(path) ? { ...value, document: { ...value.document, issuer: 'somebody' } } : value),
  record: (path, value) => (/\/state\/76/.test(path) && value.value ? { ...value, value: nibble(value.value, 60) } : value),
  schema: (path, value) => (/\/state\/68/.test(path) && value.value ? { ...value, value: nibble(value.value, 60) } : value),
  edge: (path, value) => (/\/provenance$/.test(path) && value.edges[0] ? { ...value, edges: [{ ...value.edges[0], to_version: value.edges[0].to_version + 1 }, ...value.edges.slice(1)] } : value),
  dispute: (path, value) => (/\/disputes$/.test(path) ? { ...value, items: value.items.map((item) => ({ ...item, claim: nibble(item.claim, 3) })) } : value),
  proposal_title: (path, value) => (/\/proposals\/\d+$/.test(path) && value.title ? { ...value, title: `${value.title} and more` } : value),
  proposal_action: (path, value) => (/\/proposals\/\d+$/.test(path) && value.actions ? { ...value, actions: value.actions.map((action) => ({ ...action, arguments: nibble(action.arguments, action.arguments.length - 2) })) } : value),
  proposal_ballot: (path, value) => (/\/proposals\/\d+$/.test(path) && value.ballots ? { ...value, ballots: value.ballots.map((ballot) => ({ ...ballot, approve: !ballot.approve })) } : value),
  reading: (path, value) => (/\/read$/.test(path) && value.fields ? { ...value, fields: value.fields.map((field) => ({ ...field, disclosure: restated(field.disclosure) })) } : value),
  log: (path, value) => (/\/audit$/.test(path) && value.items?.[1] ? { ...value, items: value.items.filter((_, i) => i !== 1) } : value),
  log_record: (path, value) => (/\/audit$/.test(path) && value.items?.[0] ? { ...value, items: value.items.map((item, i) => (i ? item : { ...item, purpose: 'own' })) } : value),
  log_other: (path, value) => (/\/documents\/[0-9a-f]+\/audit$/.test(path) && value.items?.[0] ? { ...value, items: value.items.map((item) => ({ ...item, document: nibble(item.document, 3) })) } : value),
  opening: (path, value) => (/\/open$/.test(path) && value.root ? { ...value, root: nibble(value.root, 9) } : value),
  validators: (path, value) => (path === '/api/v1/validators'
    ? { ...value, validators: value.validators.map((v, i) => (i ? v : { ...v, power: v.power + 1 })) } : value),
};

export async function startProxy(api) {
  const proxy = { lie: 'none', port: 0, close: () => {} };
  const server = http.createServer((request, response) => {
    const lie = LIES[proxy.lie];
    const headers = { ...request.headers, host: new URL(api).host };
    const isBuilt = built && !request.url.startsWith('/api/');
    if (isBuilt) headers.accept = 'text/html';
    const upstream = https.request(`${api}${isBuilt ? '/' : request.url}`, { method: request.method, headers, rejectUnauthorized: false }, (answer) => {
      const path = request.url.split('?')[0];
      if (isBuilt) {
        const { file, type } = builtAt(path);
        answer.resume();
        response.writeHead(200, { 'content-type': type, 'content-security-policy': answer.headers['content-security-policy'] ?? "default-src 'none'" });
        response.end(readFileSync(file));
        return;
      }
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
