import { describe, expect, it } from '@jest/globals';
import type { PlanInput } from '../../../src/domain/plan/plan.js';
import { CAPABILITIES, actualAccount, changedFiles, compiled, date, fact, hire, keys, plan, slug } from './fixtures.js';

const ON_LEAVE = '2026-03-10T12:00:00.000Z';
const hired = hire('e-1', '2026-01-01', { department: 'Finance' });
const away = [hired, fact('e-1', { kind: 'leave', startOn: date('2026-03-02'), expectedEndOn: date('2026-09-01') })];
const back = [...away, fact('e-1', { kind: 'return', on: date('2026-03-09') })];
const held = { entitlements: ['all-staff', 'finance'] };
const suspend = (more: Partial<PlanInput>) =>
  keys(plan(away, ON_LEAVE, { phase: 'suspend', kind: 'leave-start', absence: 'wholly', ...more }));
const resume = (more: Partial<PlanInput>, facts = back) =>
  keys(plan(facts, ON_LEAVE, { phase: 'resume', kind: 'leave-end', ...more }));

describe('suspend', () => {
  it('closes what is there as a cut does, and takes no rights and no keys', () => {
    expect(
      suspend({ actual: [actualAccount('directory', held), actualAccount('erp'), actualAccount('badge')] }),
    ).toEqual(['badge/manual', 'directory/seal', 'directory/revoke-sessions', 'erp/seal']);
  });

  it('asks a target also about an account that was seen closed, a person only about an open one', () => {
    const closed = { status: 'disabled' } as const;
    expect(suspend({ actual: [actualAccount('directory', closed), actualAccount('badge', closed)] })).toEqual([
      'directory/seal',
      'directory/revoke-sessions',
    ]);
  });

  it('is nothing without an extended leave, and leaves what another employment keeps open', () => {
    const actual = [actualAccount('directory', held)];
    expect(suspend({ actual, absence: 'none' })).toEqual([]);
    const facts = [...away, hire('e-2', '2026-01-01', { department: 'Finance' })];
    expect(keys(plan(facts, ON_LEAVE, { phase: 'suspend', kind: 'leave-start', absence: 'partly', actual }))).toEqual(
      [],
    );
  });

  it('closes what nothing justifies with the last employment only', () => {
    const actual = [actualAccount('other')];
    expect(suspend({ actual }).length).toBeGreaterThan(0);
    expect(suspend({ actual, absence: 'partly' })).toEqual([]);
  });

  const policy = compiled(
    changedFiles({
      'applications/directory.yaml': [['archive: archive\n', 'archive: archive\nleave: { mail: { to: manager } }\n']],
    }),
  );
  const capabilities = new Map([
    ...CAPABILITIES,
    [slug('directory'), [...(CAPABILITIES.get(slug('directory')) ?? []), 'set-forwarding' as const]],
  ]);

  it('gives the mail to the delegate for the time, and asks a person where there is none', () => {
    const actual = [actualAccount('directory', held)];
    const heir = { mail: 'boss@example.com', accounts: new Map() };
    const planned = plan(
      away,
      ON_LEAVE,
      {
        phase: 'suspend',
        kind: 'leave-start',
        absence: 'wholly',
        actual,
        capabilities,
        handover: { name: 'Ada', heir },
      },
      { policy },
    );
    expect(planned.visits[0]?.operations.at(-1)).toMatchObject({
      kind: 'set-forwarding',
      forwarding: { to: 'boss@example.com', keepsCopy: true },
    });
    const asked = plan(
      away,
      ON_LEAVE,
      { phase: 'suspend', kind: 'leave-start', absence: 'wholly', actual, capabilities },
      { policy },
    );
    expect(asked.visits[0]?.operations.at(-1)).toMatchObject({ kind: 'manual' });
  });

  it('whose delegation ends with the leave, also where the account stays closed', () => {
    const actual = [
      actualAccount('directory', {
        ...held,
        status: 'disabled',
        disabledByTenure: true,
        sealed: true,
        suspended: true,
      }),
    ];
    const planned = plan(back, ON_LEAVE, { phase: 'resume', kind: 'leave-end', actual, capabilities }, { policy });
    const visit = planned.visits.find((one) => one.application === 'directory');
    expect(visit?.operations.at(-1)).toMatchObject({ kind: 'set-forwarding', forwarding: { keepsCopy: true } });
    expect(visit?.operations.at(-1)?.forwarding?.to).toBeUndefined();
  });
});

describe('resume', () => {
  const suspended = { status: 'disabled', disabledByTenure: true, sealed: true, suspended: true } as const;

  it('opens what the leave closed, with a new credential for the one that was replaced', () => {
    expect(resume({ actual: [actualAccount('directory', { ...held, ...suspended })] })).toEqual(
      expect.arrayContaining(['directory/hand-over-credential', 'directory/enable']),
    );
  });

  it('leaves what somebody else closed, and opens what was made for the person meanwhile', () => {
    const closed = { ...held, status: 'disabled' } as const;
    expect(resume({ actual: [actualAccount('directory', closed)] })).not.toContain('directory/enable');
    expect(resume({ actual: [actualAccount('directory', { ...closed, disabledByTenure: true })] })).toContain(
      'directory/enable',
    );
  });

  it('opens nothing that policy no longer gives', () => {
    const there = resume({ actual: [actualAccount('other', suspended)] });
    expect(there.filter((key) => key.startsWith('other/'))).toEqual([]);
  });

  it('opens nothing while the person is on extended leave', () => {
    const actual = [actualAccount('directory', { ...held, ...suspended })];
    expect(resume({ actual, absence: 'wholly' }, away)).toEqual([]);
  });
});
