import { describe, expect, it } from '@jest/globals';
import { maintenanceEnd } from '../../../src/domain/policy/maintenance.js';
import type { MaintenanceWindow } from '../../../src/domain/policy/maintenance.js';
import type { Instant } from '../../../src/domain/process/ids.js';

const end = (window: MaintenanceWindow | readonly MaintenanceWindow[], now: string): string | undefined =>
  maintenanceEnd([window].flat(), now as Instant);

const saturdays = { days: ['sat'], from: '22:00', to: '04:00', zone: 'Europe/Berlin' } as const;
const daily = { days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'], from: '02:15', to: '02:45' } as const;

describe('maintenance windows', () => {
  it('open and close by the wall clock of their own zone', () => {
    // Saturday, 28 November 2026, 22:00 in Berlin is 21:00 UTC.
    expect(end(saturdays, '2026-11-28T20:59:59.000Z')).toBeUndefined();
    expect(end(saturdays, '2026-11-28T21:00:00.000Z')).toBe('2026-11-29T03:00:00.000Z');
    expect(end(saturdays, '2026-11-29T02:59:59.000Z')).toBe('2026-11-29T03:00:00.000Z');
    expect(end(saturdays, '2026-11-29T03:00:00.000Z')).toBeUndefined();
  });

  it('begin on their days only, also those over midnight', () => {
    // Sunday evening, and Saturday before dawn: neither began on a Saturday.
    expect(end(saturdays, '2026-11-29T21:30:00.000Z')).toBeUndefined();
    expect(end(saturdays, '2026-11-28T01:00:00.000Z')).toBeUndefined();
  });

  it('in the hour that does not exist are over before they begin', () => {
    // 28 March 2027: Berlin goes from 02:00 to 03:00, at 01:00 UTC.
    const berlin = { ...daily, zone: 'Europe/Berlin' };
    expect(end(berlin, '2027-03-28T01:00:00.000Z')).toBeUndefined();
    expect(end(berlin, '2027-03-27T01:20:00.000Z')).toBe('2027-03-27T01:45:00.000Z');
  });

  it('in the hour that comes twice stay open through both', () => {
    // 31 October 2027: 02:15 is first at 00:15 UTC, 02:45 last at 01:45 UTC.
    const berlin = { ...daily, zone: 'Europe/Berlin' };
    expect(end(berlin, '2027-10-31T00:20:00.000Z')).toBe('2027-10-31T01:45:00.000Z');
    expect(end(berlin, '2027-10-31T01:30:00.000Z')).toBe('2027-10-31T01:45:00.000Z');
  });

  it('of which several are open hold until the last one ends', () => {
    const longer = { ...saturdays, to: '06:00' };
    expect(end([saturdays, longer], '2026-11-28T23:00:00.000Z')).toBe('2026-11-29T05:00:00.000Z');
    expect(end([], '2026-11-28T23:00:00.000Z')).toBeUndefined();
  });
});
