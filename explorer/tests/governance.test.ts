// @vitest-environment node
// Who may vote and what a ballot brings about; a decision from its choice to its receipt, with reader and node played by the test.
import { beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiProblem } from '../src/lib/api';
import { Failed } from '../src/lib/failed';
import { changesOf, contractOf, effectText } from '../src/lib/governance/effects';
import { contentOf, contractsFor, empty, missing } from '../src/lib/governance/forms';
import { agrees, mayWithdraw, voiceOf, withBallot, type Voice } from '../src/lib/governance/proposal';
import { mendOf } from '../src/lib/governance/refusals';
import { match } from '../src/lib/routes';
import type { ContractSummary, Member, ProposalDetail } from '../src/lib/types';
import { NotProven } from '../src/lib/verifier';

const sent = vi.hoisted(() => {
  vi.stubGlobal('location', { search: '' });
  vi.stubGlobal('navigator', { languages: ['en'] });
  vi.stubGlobal('document', { documentElement: { lang: 'en' } });
  return { sign: vi.fn(), submit: vi.fn(), final: vi.fn(), ask: vi.fn() };
});
vi.mock('../src/lib/transaction', () => ({ sign: sent.sign, submit: sent.submit, final: sent.final }));
vi.mock('../src/lib/api', async (original) => ({ ...(await original<object>()), ask: sent.ask }));
const { Deciding } = await import('../src/lib/governance/decision.svelte');

const member = (name: string, keys: number, threshold = 1, active = true): Member => ({
  name, role: 'enterprise', standing: active ? 'active' : 'suspended', active, accounts: 0, admin_threshold: threshold,
  admin_keys: Array.from({ length: keys }, (_, i) => `${name}-${i}`), nodes: [], encryption_keys: [],
});
const ALL = [member('a', 1), member('b', 3, 2), member('c', 1), member('d', 1), member('gone', 1, 1, false)];
const ballot = (key: string, approve: boolean) => ({ account: `@${key}`, member: key.split('-')[0] ?? '', approve, height: 5 });
const of = (ballots: ReturnType<typeof ballot>[], tally: [number, number], more: Partial<ProposalDetail> = {}): ProposalDetail => ({
  id: 7, title: 't', kind: 'contracts', state: 'open', proposer: '@a-0', proposer_member: 'a', created: 3, created_at: 30, deadline: 90, content: 'cc',
  tally: { approving: tally[0], rejecting: tally[1], needed: 3, entitled: 4 }, actions: [], ballots, ...more,
});
const may = (p: ProposalDetail, key: string) => voiceOf(p, ALL, key, `@${key}`) as Extract<Voice, { may: true }>;

describe('a voice', () => {
  it('is an administrator’s of an active member', () => {
    const p = of([ballot('b-0', true)], [0, 0]);
    expect(voiceOf(p, ALL, '', '')).toMatchObject({ may: false, why: 'signed_out' });
    expect(voiceOf(p, ALL, 'x-0', '@x-0')).toMatchObject({ may: false, why: 'no_admin' });
    expect(voiceOf(p, ALL, 'gone-0', '@gone-0')).toEqual({ may: false, why: 'inactive', member: 'gone' });
    expect(may(p, 'a-0')).toEqual({ may: true, member: 'a', threshold: 1, administrators: 1, mine: null, for: 0, against: 0 });
    expect(may(p, 'b-0')).toMatchObject({ member: 'b', threshold: 2, mine: true, for: 1, against: 0 });
    const own = of([], [0, 0], { kind: 'member', member: 'b' });
    expect(voiceOf(own, ALL, 'a-0', '@a-0')).toEqual({ may: false, why: 'other_member', member: 'b' });
    expect(voiceOf(own, ALL, 'b-1', '@b-1').may).toBe(true);
  });
  it('counts once enough administrators of its member cast the same ballot', () => {
    const p = of([ballot('a-0', true), ballot('b-0', true)], [1, 0]);
    expect(withBallot(p, may(p, 'c-0'), true)).toMatchObject({ tally: { approving: 2, rejecting: 0 }, counts: true, outcome: 'open' });
    expect(withBallot(p, may(p, 'b-1'), true)).toMatchObject({ tally: { approving: 2 }, counts: true });
    expect(withBallot(p, may(p, 'b-1'), false)).toMatchObject({ tally: { approving: 1, rejecting: 0 }, counts: false });
    // Changing one's mind takes the member's voice away again.
    const two = of([ballot('a-0', true), ballot('b-0', true), ballot('b-1', true)], [2, 0]);
    expect(withBallot(two, may(two, 'b-1'), false)).toMatchObject({ tally: { approving: 1, rejecting: 0 }, counts: false, outcome: 'open' });
    expect(withBallot(two, may(two, 'd-0'), true)).toMatchObject({ tally: { approving: 3 }, outcome: 'passes' });
    const against = of([ballot('a-0', false)], [0, 1]);
    expect(withBallot(against, may(against, 'c-0'), false)).toMatchObject({ tally: { rejecting: 2 }, outcome: 'lost' });
    expect(withBallot(against, may(against, 'a-0'), true)).toMatchObject({ tally: { approving: 1, rejecting: 0 }, outcome: 'open' });
  });
  it('counts each administrator in a member’s own affairs', () => {
    const p = of([ballot('b-0', true)], [1, 0], { kind: 'member', member: 'b' });
    p.tally = { approving: 1, rejecting: 0, needed: 2, entitled: 3 };
    expect(withBallot(p, may(p, 'b-1'), true)).toMatchObject({ tally: { approving: 2 }, outcome: 'passes' });
    expect(withBallot(p, may(p, 'b-0'), false)).toMatchObject({ tally: { approving: 0, rejecting: 1 }, outcome: 'open' });
  });
  it('takes a proposal back when it is the proposer’s, or alone enough for its member', () => {
    const p = of([], [0, 0]);
    expect(['a-0', 'b-0', ''].map((key) => mayWithdraw(p, ALL, key, `@${key}`))).toEqual([true, false, false]);
    const several = of([], [0, 0], { proposer: '@b-0', proposer_member: 'b' });
    expect(['b-0', 'b-1'].map((key) => mayWithdraw(several, ALL, key, `@${key}`))).toEqual([true, false]);
    expect(mayWithdraw({ ...p, state: 'executed' }, ALL, 'a-0', '@a-0')).toBe(false);
  });
});

describe('what a node says of a proposal', () => {
  it('agrees with the record, the deadline considered', () => {
    const said = of([ballot('a-0', true)], [1, 0]);
    const { tally: _, actions: __, ...record } = of([ballot('a-0', true)], [1, 0]);
    expect(agrees(said, record, 90)).toBe(true);
    expect(agrees(said, record, 91)).toBe(false);
    expect(agrees({ ...said, state: 'expired' }, record, 91)).toBe(true);
    expect(agrees(said, { ...record, ballots: [ballot('a-0', false)] }, 90)).toBe(false);
    expect(agrees({ ...said, state: 'executed', closed: 6 }, { ...record, state: 'executed', closed: 6, failure: null }, 99)).toBe(true);
    expect(agrees({ ...said, state: 'executed', closed: 6 }, { ...record, state: 'executed', closed: 7 }, 99)).toBe(false);
  });
});

describe('effects', () => {
  const action = { contract: 'system', method: 'set_parameters', arguments: '00', value: { changes: [{ name: 'x', value: '1' }, { name: 'y', value: '2' }] } as unknown, title: { en: 'Change parameters', zh: '修改参数' }, fields: [{ name: 'changes', title: {} }] };
  it('are said in one line', () => {
    expect(effectText(action)).toMatch(/: x = 1, y = 2$/);
    const activate = { ...action, method: 'activate_contract', value: { name: 'notary', code: 'ab'.repeat(32), arguments: '', canary_percent: 0 }, title: { en: 'Activate', zh: '启用' },
      fields: ['name', 'code', 'arguments', 'canary_percent'].map((name) => ({ name, title: { en: name, zh: name } })) };
    expect(effectText(activate)).toMatch(/: name notary, code abababab…ababab, canary_percent 0$/);
    expect([contractOf(activate), contractOf(action), changesOf(activate)]).toEqual(['notary', null, null]);
    const other = { ...action, contract: 'documents', method: 'set_arbiters', value: null, title: null, fields: null };
    expect(effectText(other, { members: ['a'] })).toBe('documents.set_arbiters {"members":["a"]}');
    expect(effectText(other)).toBe('documents.set_arbiters 00');
    expect(changesOf({ ...other, method: 'set_parameters' })).toBeNull();
  });
});

describe('forms of proposals', () => {
  const contract = (name: string, standing: string, more: Partial<ContractSummary> = {}): ContractSummary => ({ name, standing, version: 1, code_hash: '', deployed_at: 1, ...more });
  const contracts = [contract('system', 'active'), contract('notary', 'active', { previous: 'aa' }), contract('cold', 'frozen'), contract('old', 'retired')];
  it('offer contracts that stand so', () => {
    const names = (change: Parameters<typeof contractsFor>[0]) => contractsFor(change, contracts).map((one) => one.name);
    expect([names('freeze_contract'), names('unfreeze_contract'), names('promote_contract'), names('roll_back_contract'), names('activate_contract')]).toEqual([['notary'], ['cold'], [], ['notary'], ['notary', 'cold']]);
  });
  it('say what they lack', () => {
    const lacks = (form: Partial<ReturnType<typeof empty>>) => missing({ ...empty(), ...form }, contracts, 720);
    expect(lacks({})).toEqual(['contract', 'code']);
    const code = 'ab'.repeat(32);
    expect(lacks({ contract: 'new', code })).toEqual([]);
    expect(lacks({ contract: 'new', code, percent: '5' })).toEqual(['percent']);
    expect(lacks({ contract: 'notary', code, percent: '5' })).toEqual([]);
    expect(lacks({ contract: 'notary', code, percent: '100' })).toEqual(['percent']);
    expect(lacks({ contract: 'notary', code, percent: '5', migrate: '00' })).toEqual(['migrate']);
    expect(lacks({ contract: 'notary', code, migrate: '0' })).toEqual(['migrate']);
    expect(lacks({ contract: 'system', code, title: '长'.repeat(67), hours: '721' })).toEqual(['contract', 'title', 'hours']);
    expect(lacks({ change: 'set_parameters' })).toEqual(['parameter', 'value']);
    expect(lacks({ change: 'freeze_contract', contract: 'cold' })).toEqual(['contract']);
  });
  it('become what the kernel reads', () => {
    const form = { ...empty(), change: 'freeze_contract' as const, contract: 'notary', hours: '2' };
    expect(contentOf(form, 'Freeze', 10)).toEqual({ kind: 'emergency', member: null, title: 'Freeze', deadline: 7_200_010, actions: [{ contract: 'system', method: 'freeze_contract', arguments: { name: 'notary' } }] });
    expect(contentOf({ ...empty(), contract: 'n', code: 'c', percent: '5', title: ' own ' }, 'x', 0)).toMatchObject({ kind: 'contracts', title: 'own', actions: [{ arguments: { name: 'n', code: 'c', arguments: '', canary_percent: 5 } }] });
  });
  it('stand at an address of their own', () => {
    expect([match('/governance/new').name, match('/governance/7').name]).toEqual(['propose', 'proposal']);
  });
});

describe('refusals', () => {
  it('say what to do, by code or else by place', () => {
    expect(mendOf('system.proposal_closed', 'mend_decision')).toBe('mend_system_proposal_closed');
    expect(mendOf('system.canary', 'mend_action')).toBe('mend_action');
  });
});

describe('a decision', () => {
  const vote = { vote: { proposal: 7, content: { kind: 'contracts', member: null, title: 't', deadline: 9, actions: [] }, approve: true } };
  const refusal = (code: string, status: number) => new ApiProblem({ code, status, title: '', detail: '' });
  const tx = { id: 'id', height: 6 };
  beforeEach(() => {
    for (const mock of Object.values(sent)) mock.mockReset();
    sent.sign.mockResolvedValue({ id: 'id', raw: 'raw', content: 'cc' });
    sent.submit.mockResolvedValue(undefined);
    sent.final.mockResolvedValue(tx);
  });
  async function signed() {
    const deciding = new Deciding();
    const before = sent.sign.mock.calls.length;
    deciding.choose(vote, 'cc');
    expect([deciding.phase, sent.sign.mock.calls.length]).toEqual(['confirming', before]);
    await deciding.sign();
    return deciding;
  }

  it('is signed after it was confirmed, and once', async () => {
    const deciding = await signed();
    expect([deciding.phase, deciding.tx]).toEqual(['final', tx]);
    expect(sent.sign).toHaveBeenCalledWith('sign_decision', { decision: vote });
    await deciding.sign();
    expect(sent.sign).toHaveBeenCalledTimes(1);
    deciding.back();
    expect([deciding.phase, deciding.decision, deciding.id]).toEqual(['choosing', null, '']);
  });
  it('does not leave when the content is another than the node says', async () => {
    sent.sign.mockResolvedValue({ id: 'id', raw: 'raw', content: 'dd' });
    const deciding = await signed();
    expect([deciding.phase, deciding.lie !== '', sent.submit.mock.calls.length]).toEqual(['refused', true, 0]);
  });
  it('tells a refusal of the contract with its code', async () => {
    sent.final.mockRejectedValue(new Failed('system.proposal_closed', 'proposal 7 is executed'));
    const deciding = await signed();
    expect([deciding.phase, deciding.refusal]).toEqual(['refused', { code: 'system.proposal_closed', message: 'proposal 7 is executed' }]);
  });
  it('tells a refusal of the node, of the reader, and a receipt that does not hold', async () => {
    sent.submit.mockRejectedValue(refusal('tx.unknown_account', 422));
    expect((await signed()).problem?.code).toBe('tx.unknown_account');
    sent.submit.mockResolvedValue(undefined);
    sent.final.mockRejectedValue(new NotProven('another receipt'));
    expect((await signed()).lie).toBe('another receipt');
    sent.sign.mockRejectedValue(refusal('client.signed_out', 401));
    expect((await signed()).problem?.code).toBe('client.signed_out');
  });
  it('is not signed again when nobody knows what became of it', async () => {
    sent.final.mockRejectedValueOnce(refusal('client.unreachable', 0));
    const deciding = await signed();
    expect([deciding.phase, deciding.problem?.code]).toEqual(['lost', 'client.unreachable']);
    deciding.back();
    deciding.choose(vote, 'cc');
    expect([deciding.phase, deciding.id]).toEqual(['lost', 'id']);
    // The node cannot be asked, then it does not know it, then it has it.
    sent.ask.mockRejectedValueOnce(refusal('client.unreachable', 0));
    await deciding.again();
    expect([deciding.phase, sent.submit.mock.calls.length]).toEqual(['lost', 1]);
    sent.ask.mockResolvedValueOnce({ status: 'unknown' });
    sent.submit.mockRejectedValueOnce(refusal('mempool.known', 409));
    sent.final.mockRejectedValueOnce(new Failed('tx.not_final', 'id'));
    await deciding.again();
    expect([deciding.phase, deciding.problem, sent.submit.mock.calls]).toEqual(['lost', null, [['raw'], ['raw']]]);
    sent.ask.mockResolvedValueOnce({ status: 'final' });
    await deciding.again();
    expect([deciding.phase, sent.submit.mock.calls.length, sent.sign.mock.calls.length]).toEqual(['final', 2, 1]);
  });
  it('is over when it can no longer come on the chain', async () => {
    sent.final.mockRejectedValueOnce(refusal('client.unreachable', 0));
    const deciding = await signed();
    sent.ask.mockResolvedValueOnce({ status: 'unknown' });
    sent.submit.mockRejectedValueOnce(refusal('tx.expired', 422));
    await deciding.again();
    expect([deciding.phase, deciding.problem?.code]).toEqual(['refused', 'tx.expired']);
  });
});
