import { localDateAt } from '../../src/domain/time/instants.js';
import { brand } from '../../src/domain/process/ids.js';
import type { Instant, ZoneId } from '../../src/domain/process/ids.js';

type HrRecord = Record<string, unknown>;

const DAY_MS = 86_400_000;
/** As the sample company's policy has it: processes of a start begin so long before it. */
const LEAD_DAYS = 3;

/** Somebody who began to work long ago. */
export function working(person: string): HrRecord {
  return hire(person, '2024-01-15', 'Etc/UTC');
}

/**
 * Somebody whose process begins at the next midnight but 12 hours at the least: within the horizon of a day, and never while the bench runs. Pure: `now`
 * decides in which zone that is.
 */
export function starting(person: string, now: Date): HrRecord {
  const zone = now.getUTCHours() < 12 ? 'Etc/UTC' : 'Etc/GMT-12';
  const today = localDateAt(brand<Instant>(now.toISOString()), brand<ZoneId>(zone));
  const startOn = new Date(Date.parse(`${today}T00:00:00Z`) + (1 + LEAD_DAYS) * DAY_MS).toISOString().slice(0, 10);
  return hire(person, startOn, zone);
}

/** The end of somebody's access at an exact instant. */
export function ending(person: string, at: Date): HrRecord {
  const dueAt = at.toISOString();
  return {
    ...{ source: 'hr', eventId: `end-${person}`, person, employment: `${person}-1`, kind: 'end' },
    ...{ lastWorkingDay: dueAt.slice(0, 10), manner: 'immediate', at: dueAt },
  };
}

function hire(person: string, startOn: string, zone: string): HrRecord {
  return {
    ...{ source: 'hr', eventId: `hire-${person}`, person, employment: `${person}-1`, kind: 'hire' },
    ...{ startOn, zone, worker: 'employee' },
    attributes: { givenName: 'Invented', familyName: person, employeeNumber: person, department: 'Engineering' },
  };
}
