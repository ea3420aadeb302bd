import fc from 'fast-check';
import { describe, expect, it } from '@jest/globals';
import { classify } from '../../src/domain/ledger/intake.js';
import { stateAt } from '../../src/domain/ledger/state.js';
import type { Attributes, Fact } from '../../src/domain/ledger/types.js';
import { brand } from '../../src/domain/process/ids.js';
import type { EmploymentId, FactId, IdentityId, Instant, LocalDate, ZoneId } from '../../src/domain/process/ids.js';
import { addDays, laterOf } from '../../src/domain/time/instants.js';
import { differenceOf } from '../../src/hr/csv/difference.js';
import type { RowDifference } from '../../src/hr/csv/difference.js';
import type { StatedRow } from '../../src/hr/csv/row.js';
import { knownOf } from '../../src/hr/known.js';
import { parseRecord } from '../../src/hr/record.js';

const NOW = brand<Instant>('2026-11-23T09:00:00.000Z');
const TODAY = brand<LocalDate>('2026-11-23');
const EMPLOYMENT = brand<EmploymentId>('e');
const IDENTITY = brand<IdentityId>('i');

/** A ledger of one employment with the door's own rules; what is not accepted fails the test. */
class MiniLedger {
  facts: readonly Fact[] = [];

  known(now = NOW) {
    return knownOf({
      facts: this.facts,
      employmentId: EMPLOYMENT,
      source: 'csv',
      ledgerVersion: this.facts.length,
      now,
    });
  }

  import(row: StatedRow, now = NOW): RowDifference & { readonly refusals: readonly string[] } {
    const difference = differenceOf('csv', row, this.known(now), now);
    const refusals: string[] = [];
    for (const raw of difference.records) {
      const parsed = parseRecord(raw);
      if (!parsed.ok) throw new Error(`not a record: ${JSON.stringify(parsed.problems)} ${JSON.stringify(raw)}`);
      const { record } = parsed;
      const fact: Fact = {
        factId: brand<FactId>(`f${this.facts.length}`),
        identityId: IDENTITY,
        employmentId: EMPLOYMENT,
        source: record.source,
        sourceEventId: record.eventId,
        sourceVersion: record.version,
        ...(record.corrects === undefined ? {} : { corrects: record.corrects }),
        recordedAt: now,
        statement: record.statement,
      };
      const { outcome, reason } = classify(this.facts, fact);
      if (outcome === 'accepted' || outcome === 'superseded') this.facts = [...this.facts, fact];
      if (outcome !== 'accepted') refusals.push(`${record.statement.kind}: ${outcome} ${reason ?? ''}`);
    }
    return { ...difference, refusals };
  }

  state(now = NOW) {
    return stateAt(this.facts, now).employments[0];
  }
}

const day = (offset: number): LocalDate => addDays(TODAY, offset);

function row(more: Partial<StatedRow> = {}): StatedRow {
  return {
    row: 2,
    person: 'p',
    employment: 'e',
    standing: 'employed',
    startOn: day(-100),
    zone: brand<ZoneId>('Europe/Berlin'),
    worker: 'employee',
    endOn: null,
    manager: null,
    attributes: { givenName: 'A', familyName: 'B', department: 'Finance' },
    lastWorkingDay: null,
    leaveFrom: null,
    ...more,
  };
}

describe('differenceOf', () => {
  it('says nothing when nothing is new', () => {
    const ledger = new MiniLedger();
    expect(ledger.import(row()).records).toHaveLength(1);
    expect(ledger.import(row()).records).toEqual([]);
  });

  it('keeps facts of other sources: an end that this source never stated is not taken back by its empty cell', () => {
    const ledger = new MiniLedger();
    ledger.import(row());
    const end = { kind: 'end', lastWorkingDay: day(10), manner: 'voluntary' } as const;
    ledger.facts = [
      ...ledger.facts,
      { ...ledger.facts[0]!, factId: brand<FactId>('x'), source: 'api', sourceEventId: 'x', statement: end },
    ];
    expect(ledger.import(row()).records).toEqual([]);
    expect(ledger.state()?.lastWorkingDay).toBe(day(10));
  });

  it('does not announce again what is announced already', () => {
    const ledger = new MiniLedger();
    ledger.import(row());
    const announced = row({ effectiveOn: day(20), attributes: { ...row().attributes, department: 'Sales' } });
    expect(ledger.import(announced).records).toHaveLength(1);
    expect(ledger.import(announced).records).toEqual([]);
    expect(ledger.state()?.attributes.department).toBe('Finance');
  });

  it('gives the same records for the same knowledge: two imports at once are one', () => {
    const ledger = new MiniLedger();
    ledger.import(row());
    const moved = row({ attributes: { ...row().attributes, department: 'Sales' } });
    const one = differenceOf('csv', moved, ledger.known(), NOW);
    const two = differenceOf('csv', moved, ledger.known(), '2026-11-23T15:00:00.000Z' as Instant);
    expect(two).toEqual(one);
  });

  it('a missing row says nothing, whatever else is in the file', () => {
    const ledger = new MiniLedger();
    ledger.import(row());
    expect(ledger.state()?.status).toBe('active');
  });
});

const attributes: fc.Arbitrary<Attributes> = fc.record({
  givenName: fc.constantFrom('A', 'Anna'),
  familyName: fc.constant('B'),
  department: fc.constantFrom('Finance', 'Sales', null),
  title: fc.constantFrom('Clerk', null),
});
/** Any snapshot of one employment that a mapping can give, with a start of one kind: begun long ago, or to come. */
const anyRow = (starts: readonly number[]): fc.Arbitrary<StatedRow> =>
  fc
    .record({
      startOn: fc.constantFrom(...starts),
      contractor: fc.boolean(),
      endOn: fc.constantFrom(null, 60, 90),
      end: fc.constantFrom(null, null, -40, -1, 0, 20, 45),
      leave: fc.constantFrom('employed' as const, 'employed' as const, 'leave' as const),
      manager: fc.constantFrom('boss', null),
      attributes,
    })
    .map((made): StatedRow => {
      const startOn = day(made.startOn);
      const end = made.end === null ? null : day(Math.max(made.end, made.startOn));
      const endOn = made.endOn === null ? (made.contractor ? day(120) : null) : day(made.endOn);
      return row({
        startOn,
        worker: made.contractor ? 'contractor' : 'employee',
        endOn,
        lastWorkingDay: end,
        standing: end !== null && end < TODAY ? 'ended' : made.leave,
        leaveFrom: made.leave === 'leave' ? day(Math.max(-5, made.startOn)) : null,
        manager: made.manager,
        attributes: made.attributes,
      });
    });

const rowsOf = (starts: readonly number[]) => fc.array(anyRow(starts), { minLength: 1, maxLength: 6 });

describe('any sequence of snapshots', () => {
  it('the last one, said again, changes nothing, and the ledger is in the state that it describes', () => {
    fc.assert(
      fc.property(fc.oneof(rowsOf([-400, -100]), rowsOf([5, 30])), (rows) => {
        const ledger = new MiniLedger();
        let last: ReturnType<MiniLedger['import']> | undefined;
        for (const one of rows) last = ledger.import(one);
        const final = rows.at(-1)!;
        const before = ledger.facts.length;
        const again = ledger.import(final);
        // What a person has to decide stays undecided; nothing is written for it.
        if (last?.refused !== undefined || again.refused !== undefined || (last?.refusals.length ?? 0) > 0) return;
        expect(again.records).toEqual([]);
        expect(ledger.facts).toHaveLength(before);
        // On the first day that the row can speak of: today, or the start that is to come.
        const state = ledger.state(brand<Instant>(`${laterOf(final.startOn, TODAY)}T12:00:00.000Z`))!;
        expect(state.startOn).toBe(final.startOn);
        if (final.lastWorkingDay) expect(state.lastWorkingDay! <= final.lastWorkingDay).toBe(true);
        if (state.status === 'ended') return;
        for (const [name, value] of Object.entries(final.attributes))
          expect([name, (state.attributes as Record<string, unknown>)[name] ?? null]).toEqual([name, value]);
        expect(state.manager).toBe(final.manager);
        expect(state.worker).toBe(final.worker);
      }),
      { numRuns: 150, seed: 20261123 },
    );
  });
});
