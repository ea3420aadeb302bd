import { describe, expect, it } from '@jest/globals';
import { desiredAccounts } from '../../../src/domain/plan/desired.js';
import { why } from '../../../src/domain/plan/why.js';
import type { Assignment, DesiredAccount } from '../../../src/domain/plan/types.js';
import type { EmploymentId } from '../../../src/domain/process/ids.js';
import { actualAccount, changedFiles, compiled, date, desiredInput, fact, hire, instant, slug } from './fixtures.js';

const AT = '2026-03-02T12:00:00.000Z';

function accountOf(accounts: readonly DesiredAccount[], application: string): DesiredAccount | undefined {
  return accounts.find((one) => one.application === application);
}

function entitlements(accounts: readonly DesiredAccount[]): readonly string[] {
  return accounts.flatMap((one) => one.entitlements.map((entitlement) => `${one.application}/${entitlement.name}`));
}

describe('desired accounts', () => {
  const finance = hire('m-1', '2026-03-01', { department: 'Finance', displayName: 'Ada Bérger', workPhone: '+49 1' });

  it('gives what the roles of the employment grant, with role and facts as reasons', () => {
    const accounts = desiredAccounts(desiredInput([finance], AT));
    expect(entitlements(accounts)).toEqual([
      'directory/all-staff',
      'directory/finance',
      'erp/ledger',
      'erp/payments-approver',
    ]);
    const payments = accountOf(accounts, 'erp')?.entitlements.find((one) => one.name === 'payments-approver');
    expect(payments).toMatchObject({ sensitive: true, cutAtNotice: true });
    expect(payments?.reasons).toEqual([
      { kind: 'birthright', rule: 'payments', factIds: [finance.factId], origin: 'birthright' },
    ]);
    expect(accountOf(accounts, 'directory')).toMatchObject({ login: 'ada.berger', enabled: true, sensitive: false });
  });

  it('is empty before the start and after the end', () => {
    const end = fact('m-1', { kind: 'end', lastWorkingDay: date('2026-03-31'), manner: 'voluntary' });
    expect(desiredAccounts(desiredInput([finance], '2026-02-28T12:00:00.000Z'))).toEqual([]);
    expect(desiredAccounts(desiredInput([finance, end], '2026-03-31T21:59:59.999Z'))).not.toEqual([]);
    // End of the last working day in Berlin, which is on summer time then: that very instant is already over.
    expect(desiredAccounts(desiredInput([finance, end], '2026-03-31T22:00:00.000Z'))).toEqual([]);
  });

  it('tells a cleared value, an empty one and one that was never stated apart (edge case 48)', () => {
    const attributesWith = (workPhone: Readonly<Record<string, string | null>>) =>
      accountOf(
        desiredAccounts(desiredInput([hire('m-1', '2026-03-01', { department: 'Finance', ...workPhone })], AT)),
        'directory',
      )?.attributes ?? {};
    const phone = 'phoneNumbers[type eq "work"].value';
    expect(attributesWith({ workPhone: '+49 1' })[phone]).toBe('+49 1');
    expect(attributesWith({ workPhone: null })[phone]).toBeNull();
    expect(attributesWith({ workPhone: '' })[phone]).toBe('');
    expect(Object.keys(attributesWith({}))).not.toContain(phone);
  });

  it('keeps the original display name, and makes one where HR sent none', () => {
    const named = accountOf(desiredAccounts(desiredInput([finance], AT)), 'directory');
    expect(named?.attributes['displayName']).toBe('Ada Bérger');
    const unnamed = hire('m-1', '2026-03-01', { givenName: '小明', familyName: '王', preferredName: 'Ming' });
    const made = accountOf(desiredAccounts(desiredInput([unnamed], AT)), 'directory');
    expect(made?.attributes['displayName']).toBe('Ming 王');
  });

  it('leaves the manager alone while he is not here yet, and clears him when there is none (edge case 14)', () => {
    const manager = 'enterprise.manager.value';
    const attributesOf = (named: string | null, known: boolean) => {
      const facts = [hire('m-1', '2026-03-01', { department: 'Sales' }, { manager: named })];
      const nativeIds = new Map([[slug('directory'), 'n-77']]);
      const present = { userName: 'b', mail: 'b@example.com', displayName: 'B', nativeIds };
      const input = desiredInput(facts, AT, known ? { manager: present } : {});
      return accountOf(desiredAccounts(input), 'directory')?.attributes ?? {};
    };
    expect(attributesOf('P7', true)[manager]).toBe('n-77');
    expect(Object.keys(attributesOf('P7', false))).not.toContain(manager);
    expect(attributesOf(null, false)[manager]).toBeNull();
  });

  it('is the union over concurrent employments; the end of one takes only what no other justifies (edge case 44)', () => {
    const sales = hire('m-2', '2026-03-01', { department: 'Sales' });
    const end = fact('m-1', { kind: 'end', lastWorkingDay: date('2026-03-10'), manner: 'voluntary' });
    const both = entitlements(desiredAccounts(desiredInput([finance, sales, end], AT)));
    expect(both).toEqual(expect.arrayContaining(['erp/ledger', 'erp/orders', 'directory/all-staff']));
    const after = desiredAccounts(desiredInput([finance, sales, end], '2026-03-11T12:00:00.000Z'));
    expect(entitlements(after)).toEqual(['directory/all-staff', 'directory/sales', 'erp/orders']);
    expect(accountOf(after, 'directory')?.enabled).toBe(true);
  });

  it('takes what notice costs from the instant of the notice, unless another employment justifies it', () => {
    const end = fact('m-1', {
      kind: 'end',
      lastWorkingDay: date('2026-03-31'),
      manner: 'voluntary',
      noticeOn: date('2026-03-02'),
    });
    const noticed = entitlements(desiredAccounts(desiredInput([finance, end], AT)));
    expect(noticed).toEqual(['directory/all-staff', 'directory/finance', 'erp/ledger']);
    const second = hire('m-2', '2026-03-01', { department: 'Finance' });
    expect(entitlements(desiredAccounts(desiredInput([finance, end, second], AT)))).toContain('erp/payments-approver');
  });

  it('keeps accounts of somebody on leave, disabled', () => {
    const leave = fact('m-1', { kind: 'leave', startOn: date('2026-03-02') });
    const accounts = desiredAccounts(desiredInput([finance, leave], AT));
    expect(accounts.map((one) => one.enabled)).toEqual(accounts.map(() => false));
    expect(accounts.length).toBeGreaterThan(0);
  });

  it('adds assignments while they are valid, and calls sensitive what policy calls so anywhere', () => {
    const assignment: Assignment = {
      assignmentId: 'as-1',
      application: slug('erp'),
      entitlement: 'payments-approver',
      origin: 'request',
      validFrom: instant('2026-03-02T00:00:00.000Z'),
      validUntil: instant('2026-03-03T00:00:00.000Z'),
    };
    const engineer = hire('m-1', '2026-03-01', { department: 'Engineering' });
    const at = (text: string) => desiredAccounts(desiredInput([engineer], text, { assignments: [assignment] }));
    expect(accountOf(at(AT), 'erp')?.entitlements).toMatchObject([{ name: 'payments-approver', sensitive: true }]);
    expect(accountOf(at('2026-03-03T00:00:00.000Z'), 'erp')).toBeUndefined();
    const foreign = { ...assignment, employmentId: 'm-9' as EmploymentId };
    expect(entitlements(desiredAccounts(desiredInput([engineer], AT, { assignments: [foreign] })))).not.toContain(
      'erp/payments-approver',
    );
  });

  it('reads free HR attributes, absent ones as empty text', () => {
    const rule = [
      'when: employment.department == "Engineering"',
      'when: employment.custom["site"] == "lab" && person.custom.badge != "x"',
    ] as const;
    const policy = compiled(changedFiles({ 'roles/engineering.yaml': [rule] }));
    const has = (attributes: Record<string, string | null>) =>
      entitlements(desiredAccounts(desiredInput([hire('m-1', '2026-03-01', attributes)], AT, { policy }))).includes(
        'directory/engineering',
      );
    expect(has({ 'custom.site': 'lab' })).toBe(true);
    expect(has({ 'custom.site': 'lab', 'custom.badge': 'x' })).toBe(false);
    expect(has({})).toBe(false);
    expect(has({ 'custom.site': null })).toBe(false);
  });
});

describe('why', () => {
  const sales = hire('m-1', '2026-03-01', { department: 'Sales' });

  it('tells what speaks for and against each entitlement, held without reason included', () => {
    const actual = [actualAccount('erp', { entitlements: ['orders', 'ledger'] })];
    const explained = why({ ...desiredInput([sales], AT), actual }, slug('erp'));
    expect(explained.account).toMatchObject({ desired: true, held: true });
    const byName = Object.fromEntries(explained.entitlements.map((one) => [one.entitlement, one]));
    expect(byName['orders']).toMatchObject({ desired: true, held: true, for: [{ rule: 'sales' }], against: [] });
    expect(byName['ledger']).toMatchObject({
      desired: false,
      held: true,
      for: [],
      against: [{ objection: 'rule-not-met', rule: 'finance', factIds: [sales.factId] }],
    });
    expect(byName['payments-approver']).toMatchObject({ desired: false, held: false });
  });

  it('names the approval that is missing or was denied', () => {
    const facts = [hire('m-1', '2026-03-01', { department: 'Finance' })];
    const asked = (state?: 'approved' | 'denied') =>
      why(
        { ...desiredInput(facts, AT), approvals: new Map(state ? [['erp/payments-approver', state]] : []) },
        slug('erp'),
      ).entitlements.find((one) => one.entitlement === 'payments-approver');
    expect(asked()).toMatchObject({ desired: true, against: [{ objection: 'approval-pending' }] });
    expect(asked('denied')).toMatchObject({ desired: false, against: [{ objection: 'approval-denied' }] });
    expect(asked('approved')).toMatchObject({ desired: true, against: [] });
  });

  it('says that nobody is employed', () => {
    const explained = why(desiredInput([sales], '2025-01-01T00:00:00.000Z'), slug('erp'));
    expect(explained.account).toMatchObject({ desired: false, against: [{ objection: 'no-employment' }] });
  });

  it('never tells another story than execution: same accounts and entitlements for every application', () => {
    const input = desiredInput([sales, hire('m-2', '2026-03-01', { department: 'Finance' })], AT);
    const wanted = desiredAccounts(input);
    for (const { slug: application } of input.policy.applications) {
      const explained = why({ ...input, approvals: new Map([['erp/payments-approver', 'approved']]) }, application);
      const account = accountOf(wanted, application);
      expect(explained.account.desired).toBe(account !== undefined);
      expect(explained.entitlements.filter((one) => one.desired).map((one) => one.entitlement)).toEqual(
        account?.entitlements.map((one) => one.name) ?? [],
      );
    }
  });
});
