import { brand } from '../../../src/domain/process/ids.js';
import type { EmploymentId, FactId, IdentityId, Instant, LocalDate, ZoneId } from '../../../src/domain/process/ids.js';
import type { Attributes, Fact, Statement } from '../../../src/domain/ledger/types.js';

export const date = (text: string): LocalDate => brand<LocalDate>(text);
export const zone = (text: string): ZoneId => brand<ZoneId>(text);
export const instant = (text: string): Instant => brand<Instant>(text);
export const BERLIN = zone('Europe/Berlin');
export const MELBOURNE = zone('Australia/Melbourne');
export const NEW_YORK = zone('America/New_York');

type Details = Partial<Omit<Fact, 'statement' | 'employmentId'>> & {
  readonly employment?: string;
  readonly version?: number;
};

/** A fact by its event id; everything else has a default. */
export function fact(eventId: string, statement: Statement, details: Details = {}): Fact {
  const { employment = 'emp-1', version = 1, ...rest } = details;
  return {
    factId: brand<FactId>(`fact-${eventId}-${version}`),
    identityId: brand<IdentityId>('idn-1'),
    employmentId: brand<EmploymentId>(employment),
    source: 'hr',
    sourceEventId: eventId,
    sourceVersion: version,
    recordedAt: instant('2026-06-15T10:00:00.000Z'),
    statement,
    ...rest,
  };
}

type Of<K extends Statement['kind']> = Extract<Statement, { kind: K }>;

export function hire(startOn: string, details: Partial<Of<'hire'>> = {}): Statement {
  const attributes: Attributes = { department: 'Sales', title: 'Clerk', ...details.attributes };
  return { kind: 'hire', zone: BERLIN, worker: 'employee', ...details, startOn: date(startOn), attributes };
}

export function change(effectiveOn: string, details: Partial<Of<'change'>>): Statement {
  return { kind: 'change', ...details, effectiveOn: date(effectiveOn) };
}

export function end(lastWorkingDay: string, details: Partial<Of<'end'>> = {}): Statement {
  return { kind: 'end', manner: 'voluntary', ...details, lastWorkingDay: date(lastWorkingDay) };
}

export const leave = (startOn: string): Statement => ({ kind: 'leave', startOn: date(startOn) });
export const back = (on: string): Statement => ({ kind: 'return', on: date(on) });
export const withdraw: Statement = { kind: 'withdraw' };
