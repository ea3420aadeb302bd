import { describe, expect, it } from '@jest/globals';
import { desiredAccounts } from '../../../src/domain/plan/desired.js';
import { describePlan, mergePreview } from '../../../src/domain/plan/describe.js';
import { simulatePlan } from '../../../src/domain/plan/simulate.js';
import type { ActualAccount } from '../../../src/domain/plan/types.js';
import type { AccountId } from '../../../src/domain/process/ids.js';
import {
  CAPABILITIES,
  actualAccount,
  changedFiles,
  compiled,
  date,
  desiredInput,
  fact,
  hire,
  instant,
  keys,
  plan,
  samplePolicy,
  slug,
} from './fixtures.js';

const START = '2026-03-01T00:00:00.000Z';
const BEFORE = instant('2026-02-26T00:00:00.000Z');
const AT = '2026-03-02T12:00:00.000Z';
const finance = hire('m-1', '2026-03-01', { department: 'Finance' });
const sales = hire('m-1', '2026-03-01', { department: 'Sales' });
const DENIED = new Map([['erp/payments-approver', 'denied' as const]]);
const APPROVED = new Map([['erp/payments-approver', 'approved' as const]]);
const gone = { desired: [] };

/** What a joiner of `facts` leaves behind, by simulation. */
function joined(facts = [sales]): readonly ActualAccount[] {
  const made = simulatePlan([], plan(facts, AT, { phase: 'activate', approvals: APPROVED }));
  return made.map((account) => ({ ...account, createdHere: false }));
}

describe('joiner', () => {
  it('makes accounts of pre-start applications disabled before the start, and nothing elsewhere', () => {
    const early = plan([finance], START, { phase: 'provision', now: BEFORE });
    expect(keys(early)).toEqual([
      'directory/create',
      'directory/add-entitlement/all-staff',
      'directory/add-entitlement/finance',
    ]);
    expect(early.visits[0]?.operations[0]).toMatchObject({ enabled: false, login: 'ada.berger' });
  });

  it('activates with the rest in order of dependencies, the credential before the account opens', () => {
    const before = simulatePlan([], plan([finance], START, { phase: 'provision', now: BEFORE }));
    const result = plan([finance], START, { phase: 'activate', actual: before });
    expect(keys(result)).toEqual([
      'badge/manual',
      'directory/hand-over-credential',
      'directory/enable',
      'erp/create',
      'erp/add-entitlement/ledger',
      'erp/add-entitlement/payments-approver',
      'erp/hand-over-credential',
      'erp/enable',
    ]);
    expect(result.visits.map((visit) => [visit.application, visit.dependsOn])).toEqual([
      ['badge', []],
      ['directory', []],
      ['erp', ['directory']],
    ]);
  });

  it('waits with what is sensitive, drops what was denied and says so', () => {
    const operationsWith = (approvals: typeof DENIED | typeof APPROVED | Map<string, 'pending'>) => {
      const result = plan([finance], AT, { phase: 'activate', approvals });
      const operations = result.visits.flatMap((visit) => visit.operations);
      return { result, payments: operations.find((one) => one.key === 'erp/add-entitlement/payments-approver') };
    };
    const pending = operationsWith(new Map<string, 'pending'>());
    expect(pending.payments).toMatchObject({ needsApproval: true, approvalKey: 'erp/payments-approver' });
    expect(operationsWith(APPROVED).payments).toMatchObject({ needsApproval: false });
    const denied = operationsWith(DENIED);
    expect(denied.payments).toBeUndefined();
    expect(denied.result.dropped).toEqual([
      { application: 'erp', key: 'erp/add-entitlement/payments-approver', reason: 'approval-denied' },
    ]);
    expect(describePlan(denied.result).at(-1)).toContain('approval denied');
  });

  it('gates a whole account that is sensitive, its opening included', () => {
    const grant = ['{ application: erp, entitlement: ledger }', '{ application: erp, sensitive: true }'] as const;
    const payments = ['department == "Finance" &&', 'department == "Nowhere" &&'] as const;
    const policy = compiled(changedFiles({ 'roles/finance.yaml': [grant], 'roles/payments.yaml': [payments] }));
    const erp = (state?: 'approved' | 'denied', actual: readonly ActualAccount[] = []) => {
      const approvals = new Map(state ? [['erp', state] as const] : []);
      const result = plan([finance], AT, { phase: 'activate', approvals, actual }, { policy });
      return result.visits.find((visit) => visit.application === 'erp')?.operations ?? [];
    };
    expect(erp().map((one) => [one.kind, one.needsApproval])).toEqual([
      ['create', true],
      ['hand-over-credential', true],
      ['enable', true],
    ]);
    expect(erp('approved').some((one) => one.needsApproval)).toBe(false);
    expect(erp('denied')).toEqual([]);
    const former = [actualAccount('erp', { status: 'disabled', sealed: true })];
    expect(erp(undefined, former).filter((one) => one.kind === 'enable')).toMatchObject([{ needsApproval: true }]);
  });

  it('asks for the account before what is sensitive in it', () => {
    const wanted = desiredAccounts(desiredInput([finance], AT)).map((one) => ({ ...one, sensitive: true }));
    const adds = (approvals: readonly string[]) =>
      plan([finance], AT, {
        phase: 'activate',
        desired: wanted,
        approvals: new Map(approvals.map((key) => [key, 'approved'])),
      })
        .visits.flatMap((visit) => visit.operations)
        .filter((one) => one.key.startsWith('erp/add'))
        .map((one) => [one.entitlement, one.approvalKey, one.needsApproval]);
    expect(adds(['erp/payments-approver'])).toEqual([
      ['ledger', 'erp', true],
      ['payments-approver', 'erp', true],
    ]);
    expect(adds(['erp'])).toEqual([
      ['ledger', undefined, false],
      ['payments-approver', 'erp/payments-approver', true],
    ]);
  });

  it('does not touch an account in use before the start instant (second employment)', () => {
    const inUse = [actualAccount('directory')];
    expect(plan([finance], START, { phase: 'provision', now: BEFORE, actual: inUse }).visits).toEqual([]);
    const later = plan([finance], START, { phase: 'activate', actual: inUse });
    expect(keys(later)).toContain('directory/add-entitlement/finance');
    expect(keys(later)).not.toContain('directory/hand-over-credential');
  });

  it('makes nothing at a JIT application, and keeps the account right once it is there', () => {
    expect(keys(plan([sales], AT, { phase: 'activate' })).filter((key) => key.startsWith('wiki'))).toEqual([]);
    const there = [actualAccount('wiki', { login: 'adab' })];
    expect(keys(plan([sales], AT, { phase: 'activate', actual: there }))).toContain('wiki/rename');
  });

  it('asks a person, under the same key, for what the target cannot do', () => {
    const capabilities = new Map(CAPABILITIES).set(slug('directory'), ['create', 'update', 'disable']);
    const result = plan([sales], AT, { phase: 'activate', capabilities });
    const directory = result.visits.find((visit) => visit.application === 'directory');
    expect(directory?.operations.map((one) => [one.key, one.kind])).toEqual([
      ['directory/create', 'create'],
      ['directory/add-entitlement/all-staff', 'manual'],
      ['directory/add-entitlement/sales', 'manual'],
    ]);
    expect(directory?.operations[0]?.enabled).toBe(true);
    expect(directory?.operations[1]?.steps).toMatchObject([{ kind: 'add-entitlement', entitlement: 'all-staff' }]);
    const unknown = plan([sales], AT, { phase: 'activate', capabilities: new Map() });
    expect(unknown.visits.flatMap((visit) => visit.operations).every((one) => one.kind === 'manual')).toBe(true);
  });

  it('is undone exactly: what it made goes, what was there before is closed', () => {
    const made = simulatePlan([], plan([sales], START, { phase: 'provision', now: BEFORE }));
    const found = actualAccount('wiki');
    const result = plan([], START, { phase: 'undo', kind: 'rescinded-hire', actual: [...made, found] });
    expect(keys(result)).toEqual([
      'directory/remove-entitlement/all-staff',
      'directory/remove-entitlement/sales',
      'directory/delete',
      'wiki/disable',
      'wiki/revoke-sessions',
    ]);
    expect(simulatePlan(made, result)).toEqual([]);
  });
});

describe('mover', () => {
  const move = fact('m-1', { kind: 'change', effectiveOn: date('2026-03-02'), attributes: { department: 'Finance' } });
  const moved = [sales, move];

  it('grants without taking, then revokes what is not desired any more', () => {
    const grant = plan(moved, AT, { phase: 'grant', kind: 'mover', actual: joined(), approvals: APPROVED });
    expect(keys(grant)).toEqual([
      'directory/update',
      'directory/add-entitlement/finance',
      'erp/add-entitlement/ledger',
      'erp/add-entitlement/payments-approver',
    ]);
    const after = simulatePlan(joined(), grant);
    const revoke = plan(moved, AT, { phase: 'revoke', kind: 'mover', actual: after });
    expect(keys(revoke)).toEqual(['directory/remove-entitlement/sales', 'erp/remove-entitlement/orders']);
  });

  it('nets to nothing when the move flips back within the grace period (edge case 23)', () => {
    const grant = plan(moved, AT, { phase: 'grant', kind: 'mover', actual: joined() });
    const back = fact('m-1', { kind: 'change', effectiveOn: date('2026-03-05'), attributes: { department: 'Sales' } });
    const later = '2026-03-09T12:00:00.000Z';
    const actual = simulatePlan(joined(), grant);
    expect(keys(plan([...moved, back], later, { phase: 'revoke', kind: 'mover', actual }))).toEqual([
      'directory/remove-entitlement/finance',
      'erp/remove-entitlement/ledger',
    ]);
  });

  it('takes at once when the policy knows no grace', () => {
    const policy = compiled(changedFiles({ 'lifecycle.yaml': [['moverGraceDays: 7', 'moverGraceDays: 0']] }));
    const engineer = fact('m-1', {
      kind: 'change',
      effectiveOn: date('2026-03-02'),
      attributes: { department: 'Engineering' },
    });
    const input = { phase: 'grant', kind: 'mover', actual: joined() } as const;
    expect(keys(plan([sales, engineer], AT, input, { policy }))).toEqual(
      expect.arrayContaining(['directory/remove-entitlement/sales', 'erp/disable', 'erp/remove-entitlement/orders']),
    );
    expect(keys(plan([sales, engineer], AT, input)).filter((key) => /remove|disable/.test(key))).toEqual([]);
  });

  it('renames on the same account and never makes another one (edge case 24)', () => {
    const married = fact('m-1', {
      kind: 'change',
      effectiveOn: date('2026-03-02'),
      attributes: { familyName: 'Klein' },
    });
    const account = { userName: 'ada.klein', mail: 'ada.klein@example.com' };
    const result = plan([sales, married], AT, { phase: 'grant', kind: 'name-change', actual: joined() }, { account });
    expect(keys(result).filter((key) => key.includes('create'))).toEqual([]);
    expect(keys(result)).toEqual(expect.arrayContaining(['directory/rename', 'directory/update', 'erp/rename']));
    expect(describePlan(result)).toContain('directory:   login: "ada.berger" -> "ada.klein"');
    expect(describePlan(result)).toContain('directory:   name.familyName: "Berger" -> "Klein"');
  });

  it('does not open what an administrator closed, and opens what Tenure closed', () => {
    const closed = joined().map((one): ActualAccount => ({ ...one, status: 'disabled' }));
    expect(keys(plan(moved, AT, { phase: 'grant', kind: 'mover', actual: closed }))).not.toContain('erp/enable');
    const ours = closed.map((one) => ({ ...one, disabledByTenure: true }));
    expect(keys(plan(moved, AT, { phase: 'grant', kind: 'mover', actual: ours }))).toContain('erp/enable');
  });
});

describe('leaver', () => {
  it('cuts every linked account, observed disabled or not, all at once and without waiting', () => {
    const accounts = [...joined(), actualAccount('wiki', { status: 'disabled' })];
    const result = plan([], AT, { phase: 'cut', kind: 'leaver', actual: accounts });
    expect(keys(result)).toEqual([
      'badge/manual',
      'directory/seal',
      'directory/revoke-sessions',
      'erp/seal',
      'wiki/seal',
      'wiki/revoke-sessions',
    ]);
    expect(result.visits.every((visit) => visit.tier === 'T1' && visit.dependsOn.length === 0)).toBe(true);
    const again = plan([], AT, { phase: 'cut', kind: 'leaver', actual: simulatePlan(accounts, result) });
    expect(again.hash).toBe(result.hash);
  });

  it('cuts where the policy no longer knows the application, by hand when nothing else goes', () => {
    const lost = [actualAccount('old-crm')];
    expect(keys(plan([], AT, { phase: 'cut', kind: 'leaver', actual: lost }))).toEqual(['old-crm/disable']);
    const able = new Map(CAPABILITIES).set(slug('old-crm'), ['disable']);
    const result = plan([], AT, { phase: 'cut', kind: 'leaver', actual: lost, capabilities: able });
    expect(result.visits[0]?.operations).toMatchObject([{ kind: 'disable' }]);
  });

  it('archives and deletes where the policy no longer knows the application, as the last one said', () => {
    const base = samplePolicy.applications.find((one) => one.slug === slug('directory'));
    const former = base === undefined ? [] : [{ ...base, slug: slug('old-crm') }];
    const capabilities = new Map(CAPABILITIES).set(slug('old-crm'), ['archive', 'delete']);
    const actual = [actualAccount('old-crm', { status: 'disabled' })];
    const kept = (phase: 'archive' | 'delete', known = former) =>
      keys(plan([], AT, { phase, kind: 'leaver', actual, capabilities, former: known, ...gone }));
    expect(kept('archive')).toEqual(['old-crm/archive']);
    expect(kept('delete')).toEqual(['old-crm/delete']);
    expect(kept('delete', [])).toEqual([]);
  });

  it('cuts second accounts too, each under a key of its own', () => {
    const second = actualAccount('directory', { accountId: 'a-2' as AccountId, login: 'ada.admin' });
    const actual = [actualAccount('directory'), second];
    const seals = keys(plan([], AT, { phase: 'cut', kind: 'leaver', actual })).filter((key) => key.endsWith('seal'));
    expect(new Set(seals).size).toBe(2);
  });

  it('cuts an archived account only when it was seen open again', () => {
    const put = (status: 'disabled' | 'enabled') => [
      actualAccount('directory', { status, archived: true, sealed: true }),
    ];
    expect(keys(plan([], AT, { phase: 'cut', kind: 'leaver', actual: put('disabled') }))).toEqual([]);
    expect(keys(plan([], AT, { phase: 'cut', kind: 'leaver', actual: put('enabled') }))).toContain('directory/seal');
  });

  it('leaves what another employment justifies (edge case 44)', () => {
    const second = hire('m-2', '2026-03-01', { department: 'Engineering' });
    const end = fact('m-1', { kind: 'end', lastWorkingDay: date('2026-03-10'), manner: 'voluntary' });
    const later = '2026-03-10T23:00:00.000Z';
    const facts = [sales, second, end];
    const cut = plan(facts, later, { phase: 'cut', kind: 'leaver', actual: joined([sales, second]) });
    expect(keys(cut)).toEqual(['erp/seal']);
    const deprovision = plan(facts, later, { phase: 'deprovision', kind: 'leaver', actual: joined([sales, second]) });
    expect(keys(deprovision)).toEqual(['directory/remove-entitlement/sales', 'erp/remove-entitlement/orders']);
  });

  it('takes sensitive access at notice and nothing else', () => {
    const end = fact('m-1', {
      kind: 'end',
      lastWorkingDay: date('2026-03-31'),
      manner: 'voluntary',
      noticeOn: date('2026-03-02'),
    });
    const actual = joined([finance]);
    expect(keys(plan([finance, end], AT, { phase: 'notice', kind: 'leaver', actual }))).toEqual([
      'erp/remove-entitlement/payments-approver',
    ]);
    expect(keys(plan([finance], AT, { phase: 'notice', kind: 'leaver', actual }))).toEqual([]);
  });

  it('archives and deletes as each application says, and not what is desired again', () => {
    const cut = joined().map((one): ActualAccount => ({ ...one, status: 'disabled', sealed: true }));
    const wiki = actualAccount('wiki', { status: 'disabled' });
    expect(keys(plan([], AT, { phase: 'archive', kind: 'leaver', actual: [...cut, wiki] }))).toEqual([
      'directory/archive',
      'erp/archive',
    ]);
    expect(keys(plan([], AT, { phase: 'delete', kind: 'leaver', actual: [...cut, wiki] }))).toEqual([
      'directory/delete',
      'erp/delete',
      'wiki/delete',
    ]);
    expect(keys(plan([sales], AT, { phase: 'delete', kind: 'leaver', actual: cut }))).toEqual([]);
  });
});

describe('rehire', () => {
  it('opens the former account with a fresh credential and takes what it still carried (edge case 39)', () => {
    const former = actualAccount('directory', {
      status: 'disabled',
      sealed: true,
      archived: true,
      entitlements: ['finance', 'all-staff'],
    });
    const result = plan([sales], AT, { phase: 'activate', kind: 'rehire', actual: [former] });
    expect(keys(result).filter((key) => key.startsWith('directory'))).toEqual([
      'directory/update',
      'directory/remove-entitlement/finance',
      'directory/add-entitlement/sales',
      'directory/hand-over-credential',
      'directory/enable',
    ]);
  });
});

describe('hash and preview', () => {
  it('gives the same work the same hash, whenever it is computed and in whatever order things come', () => {
    const one = plan([sales], AT, { phase: 'revoke', actual: [actualAccount('erp'), actualAccount('wiki')] });
    const other = plan([sales], AT, {
      phase: 'revoke',
      actual: [actualAccount('wiki'), actualAccount('erp')],
      now: instant('2026-04-01T00:00:00.000Z'),
    });
    expect(other.hash).toBe(one.hash);
    const different = plan([sales], AT, { phase: 'revoke', actual: [actualAccount('erp', { entitlements: ['x'] })] });
    expect(different.hash).not.toBe(one.hash);
  });

  it('says that there is nothing to do', () => {
    const nothing = plan([sales], AT, { phase: 'revoke', actual: joined() });
    expect(nothing.visits).toEqual([]);
    expect(describePlan(nothing)).toEqual(['nothing to do']);
  });

  it('puts phases together in order, with totals and the approvals that would be waited for', () => {
    const provision = plan([finance], START, { phase: 'provision', now: BEFORE });
    const activate = plan([finance], AT, { phase: 'activate', actual: simulatePlan([], provision) });
    const cut = plan([], AT, { phase: 'cut', kind: 'leaver', ...gone });
    const preview = mergePreview([activate, cut, provision]);
    expect(preview.phases.map((one) => one.phase)).toEqual(['provision', 'activate']);
    expect(preview.totals).toMatchObject({ create: 2, enable: 2, manual: 1 });
    expect(preview.approvals).toEqual(['erp/payments-approver']);
    expect(preview.phases[1]?.lines).toContain(
      'erp: add entitlement "payments-approver", waits for approval erp/payments-approver (role payments)',
    );
  });
});
