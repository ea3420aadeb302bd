import { addDays, compare, dayOfWeek, localDateAt, wallTime } from '../time/instants.js';
import { brand } from '../process/ids.js';
import type { Instant } from '../process/ids.js';

export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
export type Weekday = (typeof WEEKDAYS)[number];

/** A time of the week in which nobody writes to a target: wall clock in its own zone; `to` before `from` ends on the next day. */
export interface MaintenanceWindow {
  /** The days on which it begins. */
  readonly days: readonly Weekday[];
  readonly from: string;
  readonly to: string;
  readonly zone: string;
}

/**
 * The instant at which the window that is open now ends; undefined when none is. Clocks that go forward or back move the ends with the wall (edge case 2).
 * Pure.
 */
export function maintenanceEnd(windows: readonly MaintenanceWindow[], now: Instant): Instant | undefined {
  const ends = windows.flatMap((window) => openUntil(window, now));
  return ends.sort(compare).at(-1);
}

function openUntil({ days, from, to, zone: name }: MaintenanceWindow, now: Instant): readonly Instant[] {
  const zone = brand<Parameters<typeof localDateAt>[1]>(name);
  const today = localDateAt(now, zone);
  // A window over midnight may have begun yesterday.
  return [addDays(today, -1), today].flatMap((date) => {
    const weekday = WEEKDAYS[dayOfWeek(date) - 1];
    if (weekday === undefined || !days.includes(weekday)) return [];
    const begins = wallTime(date, from, zone, 'cut');
    const ends = wallTime(to > from ? date : addDays(date, 1), to, zone, 'grant');
    return begins <= now && now < ends ? [ends] : [];
  });
}
