import { describe, expect, it } from '@jest/globals';
import { deadlineState, withDeadlines } from '../../../src/domain/plan/deadlines.js';
import { describePlan } from '../../../src/domain/plan/describe.js';
import type { HandoverInput } from '../../../src/domain/plan/handover.js';
import type { Operation } from '../../../src/domain/plan/types.js';
import { manualKinds, operationKinds } from '../../../src/planning/capabilities.js';
import { memoryCapabilities } from '../../connectors/memory-connector.js';
import {
  CAPABILITIES,
  FULL,
  actualAccount,
  changedFiles,
  compiled,
  date,
  fact,
  hire,
  instant,
  keys,
  plan,
  slug,
} from './fixtures.js';

const AT = '2026-03-02T12:00:00.000Z';
const left = [
  hire('m-1', '2026-03-01', { department: 'Sales' }),
  fact('m-1', { kind: 'end', lastWorkingDay: date('2026-03-02'), manner: 'immediate', at: instant(AT) }),
];
const everything = new Map([...CAPABILITIES, [slug('directory'), FULL] as const]);
const directory = actualAccount('directory', { entitlements: ['all-staff'] });
const leaver = (phase: 'cut' | 'deprovision' | 'handover' | 'delete', more: Partial<Parameters<typeof plan>[2]> = {}) =>
  plan(left, AT, { phase, kind: 'leaver', actual: [directory], capabilities: everything, ...more });

const HANDOVER = `delete: delete
handover:
  ownership: manager
  mail: { to: manager, autoReply: { subject: Gone, text: "{name} left, write to {delegate}" } }`;
const withHandover = compiled(changedFiles({ 'applications/directory.yaml': [['delete: delete', HANDOVER]] }));
const heirs: HandoverInput = {
  name: 'Ada Berger',
  heir: { mail: 'boss@example.com', accounts: new Map([[slug('directory'), { nativeId: 'n-boss', login: 'boss' }]]) },
};
const handsOver = (handover: HandoverInput) =>
  plan(
    left,
    AT,
    { phase: 'handover', kind: 'leaver', actual: [directory], capabilities: everything, handover },
    {
      policy: withHandover,
    },
  );

describe('the phases of a leaver', () => {
  it('cut: closes, ends sessions, takes keys, in this order; a target without keys is not asked for them', () => {
    expect(keys(leaver('cut'))).toEqual([
      'directory/seal',
      'directory/revoke-sessions',
      'directory/revoke-credentials',
    ]);
    expect(keys(leaver('cut', { capabilities: CAPABILITIES }))).toEqual([
      'directory/seal',
      'directory/revoke-sessions',
    ]);
  });

  it('deprovision: takes back what is out before memberships, and again each time', () => {
    expect(keys(leaver('deprovision'))).toEqual(['directory/check-in', 'directory/remove-entitlement/all-staff']);
    const bare = [{ ...directory, entitlements: [] }];
    expect(keys(leaver('deprovision', { actual: bare }))).toEqual(['directory/check-in']);
    const putAway = [{ ...directory, entitlements: [], archived: true, status: 'disabled' as const }];
    expect(keys(leaver('deprovision', { actual: putAway }))).toEqual([]);
  });

  it('handover: nothing without a policy for it; with one, to the heir that is given', () => {
    expect(keys(leaver('handover', { handover: heirs }))).toEqual([]);
    const operations = handsOver(heirs).visits.flatMap((visit) => visit.operations);
    expect(operations).toMatchObject([
      { kind: 'transfer-ownership', heir: { nativeId: 'n-boss', login: 'boss' } },
      {
        kind: 'set-forwarding',
        forwarding: {
          to: 'boss@example.com',
          keepsCopy: true,
          autoReply: { subject: 'Gone', text: 'Ada Berger left, write to boss@example.com' },
        },
      },
    ]);
    expect(describePlan(handsOver(heirs))).toEqual([
      'directory: give what it owns to "boss" (lifecycle leaver/handover)',
      'directory: forward mail to "boss@example.com" (lifecycle leaver/handover)',
    ]);
  });

  it('handover: asks a person when there is no heir, or when the heir is the leaver', () => {
    const self = { nativeId: directory.nativeId, login: directory.login };
    const toSelf = { ...heirs, heir: { mail: '', accounts: new Map([[slug('directory'), self]]) } };
    for (const given of [{ name: 'Ada Berger', heir: undefined }, toSelf]) {
      const operations = handsOver(given).visits.flatMap((visit) => visit.operations);
      expect(operations.map((one) => [one.key, one.kind])).toEqual([
        ['directory/transfer-ownership', 'manual'],
        ['directory/set-forwarding', 'manual'],
      ]);
    }
  });

  it('touches nothing of an account that another employment justifies', () => {
    const both = [...left, hire('m-2', '2026-01-01', { department: 'Sales' })];
    for (const phase of ['cut', 'deprovision', 'handover', 'delete'] as const) {
      const kept = plan(
        both,
        AT,
        { phase, kind: 'leaver', actual: [directory], capabilities: everything, handover: heirs },
        { policy: withHandover },
      );
      expect(keys(kept)).toEqual([]);
    }
  });

  it('delete: gone or anonymous, as policy says; by hand where the target cannot', () => {
    expect(keys(leaver('delete'))).toEqual(['directory/delete']);
    const policy = compiled(changedFiles({ 'applications/directory.yaml': [['delete: delete', 'delete: anonymise']] }));
    const anonymous = (capabilities: typeof everything) =>
      plan(left, AT, { phase: 'delete', kind: 'leaver', actual: [directory], capabilities }, { policy }).visits.flatMap(
        (visit) => visit.operations.map((one) => [one.key, one.kind, one.steps?.[0]?.kind]),
      );
    expect(anonymous(everything)).toEqual([['directory/anonymise', 'anonymise', undefined]]);
    expect(anonymous(new Map(CAPABILITIES))).toEqual([['directory/anonymise', 'manual', 'anonymise']]);
  });
});

describe('capabilities', () => {
  it('names every operation of the plan that a target with all of them can do', () => {
    expect([...operationKinds(memoryCapabilities)].sort()).toEqual([...FULL].sort());
  });

  it('asks hands for keys and borrowed things only where the instructions have words for them', () => {
    const application = compiled(
      changedFiles({
        'applications/badge.yaml': [
          ['    delete: Destroy', '    check-in: Take the master key back.\n    delete: Destroy'],
        ],
      }),
    ).applications.find((one) => one.slug === 'badge');
    expect(application && manualKinds(application)).toEqual(['check-in']);
    const badge = actualAccount('badge');
    const capabilities = new Map([[slug('badge'), manualKinds(application!)]]);
    const steps = leaver('deprovision', { actual: [badge], capabilities })
      .visits.flatMap((visit) => visit.operations)
      .flatMap((one) => one.steps ?? []);
    expect(steps.map((one) => one.kind)).toEqual(['check-in']);
  });
});

describe('deadlines', () => {
  const clock = { effectiveAt: instant(AT), knownAt: instant(AT), plannedAt: instant('2026-04-01T00:00:00.000Z') };
  const dues = (operations: readonly Operation[]) => operations.map((one) => [one.kind, one.deadlineAt]);
  const { lifecycle } = withHandover;
  const due = (phase: 'cut' | 'deprovision' | 'delete', times = clock) =>
    dues(withDeadlines(leaver(phase), lifecycle, times).visits.flatMap((visit) => visit.operations));

  it('count from the end of access, per operation; those of Tier 4 from the day they fall due', () => {
    expect(due('cut')).toEqual([
      ['seal', '2026-03-02T12:01:00.000Z'],
      ['revoke-sessions', '2026-03-02T12:01:00.000Z'],
      ['revoke-credentials', '2026-03-02T12:05:00.000Z'],
    ]);
    expect(due('deprovision')[0]).toEqual(['check-in', '2026-03-02T13:00:00.000Z']);
    expect(due('delete')).toEqual([['delete', '2026-04-08T00:00:00.000Z']]);
  });

  it('count from the moment something was said, when it was said too late', () => {
    const late = { ...clock, knownAt: instant('2026-03-09T08:00:00.000Z') };
    expect(due('cut', late)[0]).toEqual(['seal', '2026-03-09T08:01:00.000Z']);
  });

  it('leave the hash of a plan as it is, and give a manual task that of its most urgent step', () => {
    const before = leaver('cut', { capabilities: new Map([[slug('directory'), ['revoke-credentials']]]) });
    const after = withDeadlines(before, lifecycle, clock);
    expect(after.hash).toBe(before.hash);
    expect(dues(after.visits.flatMap((visit) => visit.operations))).toEqual([
      ['manual', '2026-03-02T12:01:00.000Z'],
      ['revoke-credentials', '2026-03-02T12:05:00.000Z'],
    ]);
  });

  it('are met by the proof, never by the try', () => {
    const deadline = instant('2026-03-02T12:01:00.000Z');
    const [early, late] = [instant('2026-03-02T12:00:59.000Z'), instant('2026-03-02T12:01:00.001Z')];
    expect(deadlineState(deadline, early, late)).toBe('met');
    expect(deadlineState(deadline, late, late)).toBe('missed');
    expect(deadlineState(deadline, undefined, early)).toBe('open');
    expect(deadlineState(deadline, undefined, late)).toBe('missed');
  });
});

describe('policy', () => {
  it('gives keys five minutes unless it says otherwise', () => {
    const plain = compiled(changedFiles({ 'lifecycle.yaml': [[', operations: { revoke-credentials: 5m }', '']] }));
    expect(plain.lifecycle.tiers.T1).toEqual({ deadlineMs: 60_000, operations: { 'revoke-credentials': 300_000 } });
    const strict = compiled(
      changedFiles({ 'lifecycle.yaml': [['revoke-credentials: 5m', 'revoke-credentials: 60s']] }),
    );
    expect(strict.lifecycle.tiers.T1.operations).toEqual({ 'revoke-credentials': 60_000 });
    expect(plain.lifecycle.tiers.T3).toEqual({ deadlineMs: 86_400_000, operations: {} });
  });
});
