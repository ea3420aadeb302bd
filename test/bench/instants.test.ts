import { describe, expect, it } from '@jest/globals';
import proto from '@temporalio/proto';
import { starting } from '../../bench/instants/people.js';
import { resultSchema } from '../../bench/instants/result.js';
import { waveOf } from '../../bench/instants/starts.js';
import type { Start } from '../../bench/instants/starts.js';
import { brand } from '../../src/domain/process/ids.js';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { bench } from './bench.js';

describe('npm run bench -- instants', () => {
  it('measures in small and prints one JSON document of the published form', async () => {
    const run = await bench('instants', '--waiting', '20', '--parked', '50', '--sample', '2');
    expect(run.stderr).toContain('2 people fall due');
    expect(run.code).toBe(0);
    const result = resultSchema.parse(JSON.parse(run.stdout));
    expect(result).toMatchObject({ asleep: 22, beyondHorizon: 50, startedEarly: 0 });
    for (const wave of [result.alone, result.duringRound]) {
      expect(wave.dueToStartedMs.samples).toBe(2);
      expect(wave.dueToFirstWorkMs.p50).toBeGreaterThanOrEqual(wave.dueToStartedMs.p50);
    }
  }, 240_000);
});

describe('how late a process began', () => {
  const { EventType } = proto.temporal.api.enums.v1;
  const dueAt = 100_000;
  const history = (startedAt: number, worksAt: number | undefined): Start['histories'][number] => ({
    events: [
      {
        eventType: EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        eventTime: { seconds: startedAt / 1_000, nanos: 0 } as never,
        workflowExecutionStartedEventAttributes: {},
      },
      ...(worksAt === undefined
        ? []
        : [
            {
              eventType: EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
              eventTime: { seconds: worksAt / 1_000, nanos: 0 } as never,
              activityTaskScheduledEventAttributes: { activityType: { name: 'runSweep' } },
            },
          ]),
    ],
  });
  const start = (...histories: Start['histories'][number][]): Start => ({
    ...{ identityId: brand<IdentityId>('ann'), dueAt, histories },
  });

  it('is measured from the instant, on the server’s clock', () => {
    expect(waveOf([start(history(101_000, 103_000))])).toEqual({
      dueToStartedMs: { samples: 1, p50: 1_000, p99: 1_000, max: 1_000 },
      dueToFirstWorkMs: { samples: 1, p50: 3_000, p99: 3_000, max: 3_000 },
    });
  });

  it.each<[string, Start, string]>([
    ['somebody who never started', start(), 'ann has 0 processes'],
    ['somebody who started twice', start(history(101_000, 102_000), history(104_000, 105_000)), 'ann has 2 processes'],
    ['a start before the instant', start(history(99_000, 102_000)), '1000 ms too early'],
    ['a process that did nothing', start(history(101_000, undefined)), 'did no work'],
  ])('%s is no figure (planted)', (_what, wrong, complaint) => {
    expect(() => waveOf([wrong])).toThrow(complaint);
  });
});

describe('people who wait', () => {
  /** The two zones that the bench uses, told apart without the product's own arithmetic. */
  const midnight = (day: string, zone: string): number =>
    Date.parse(`${day}T00:00:00${zone === 'Etc/UTC' ? 'Z' : '+12:00'}`);

  it.each(['2026-11-29T00:00:00Z', '2026-11-29T11:59:59Z', '2026-11-29T12:00:00Z', '2026-11-29T23:59:59Z'])(
    'are due within the horizon and not before twelve hours are over, at %s',
    (now) => {
      const { startOn, zone } = starting('ann', new Date(now));
      const beginsInMs = midnight(String(startOn), String(zone)) - 3 * 86_400_000 - Date.parse(now);
      expect(beginsInMs).toBeGreaterThanOrEqual(12 * 3_600_000);
      expect(beginsInMs).toBeLessThanOrEqual(24 * 3_600_000);
    },
  );
});
