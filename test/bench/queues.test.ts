import { describe, expect, it } from '@jest/globals';
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { medianOf } from '../../bench/queues/measure.js';
import { queuesResultSchema } from '../../bench/queues/result.js';
import type { Pass } from '../../bench/queues/result.js';
import { variantsFor } from '../../bench/queues/variants.js';
import { APPLICATION_QUEUE } from '../../src/worker/run-workers.js';
import { atOnce, waitSpread, waitsOf } from '../../bench/queues/waits.js';

const results = fileURLToPath(new URL('../../bench/results/', import.meta.url));
const at = (ms: number) => ({ seconds: Math.floor(ms / 1_000), nanos: (ms % 1_000) * 1e6 });

/** As histories hold it: a start names the event that scheduled the activity, and so does an end. */
const events = [
  { eventId: 5, eventTime: at(1_000), activityTaskScheduledEventAttributes: {} },
  { eventId: 6, eventTime: at(1_000), activityTaskScheduledEventAttributes: {} },
  { eventId: 7, eventTime: at(1_100), activityTaskScheduledEventAttributes: {} },
  { eventId: 8, eventTime: at(1_040), activityTaskStartedEventAttributes: { scheduledEventId: 5 } },
  { eventId: 9, eventTime: at(2_000), activityTaskCompletedEventAttributes: { scheduledEventId: 5 } },
  { eventId: 10, eventTime: at(2_000), activityTaskStartedEventAttributes: { scheduledEventId: 6 } },
  { eventId: 11, eventTime: at(3_000), activityTaskTimedOutEventAttributes: { scheduledEventId: 6 } },
  { eventId: 12, eventTime: at(2_500), activityTaskStartedEventAttributes: { scheduledEventId: 7 } },
] as unknown as Parameters<typeof waitsOf>[0];

describe('waits in a history', () => {
  it('are from the moment of scheduling to the moment of starting, in whatever order the events are written', () => {
    const waits = waitsOf(events);
    expect(waits.map(({ waitedMs }) => waitedMs)).toEqual([40, 1_000, 1_400]);
    expect(waitSpread(waits)).toEqual({ samples: 3, p50: 1_000, p99: 1_400, max: 1_400 });
  });

  it('show how many were held at once: one that begins when another ends does not count twice', () => {
    expect(atOnce(waitsOf(events))).toBe(2);
    expect(atOnce(waitsOf(events.slice(0, -1)))).toBe(1);
  });

  it('a wait that nobody ended is a wait all the same: without its start it would be missed (planted)', () => {
    expect(waitsOf(events.filter(({ eventId }) => String(eventId) !== '10')).map(({ waitedMs }) => waitedMs)).toEqual([
      40, 1_400,
    ]);
  });
});

describe('passes', () => {
  const spread = { samples: 10, p50: 1, p99: 2, max: 3 };
  const pass = (round: number, startMs: number, p99: number): Pass => ({
    ...{
      round,
      startMs,
      queuesMs: 10,
      workerRssMb: 200,
      serverGrowthMb: 20,
      connections: 1,
      polls: 2_000,
      refusals: 0,
    },
    ...{ idleCpuMsPerSecond: { worker: 5, temporal: 30 }, visitsPerSecond: 100, hangingAtOnce: 10 },
    ...{ waitMs: spread, waitBesideHangingMs: { ...spread, p99 } },
  });

  it('are summed up by the middle of each figure', () => {
    const middle = medianOf([pass(1, 900, 20), pass(2, 100, 10), pass(3, 300, 5_000)]);
    expect(middle).toMatchObject({ startMs: 300, waitBesideHangingMs: { p99: 20 } });
  });

  it('are of what the worker ships, too', () => {
    const { maxConcurrentActivityTaskExecutions: slots, activityTaskPollerBehavior: polls } = APPLICATION_QUEUE;
    expect(variantsFor(200)).toContainEqual(expect.objectContaining({ queues: 'each', slots, polls: polls.maximum }));
  });

  it('are of four variants, and the shared queue has once as many slots as the separate ones together', () => {
    const variants = variantsFor(200);
    expect(variants.map(({ queues }) => queues)).toEqual(['each', 'each', 'shared', 'shared']);
    expect(variants.at(-1)!.slots).toBe(variants[0]!.slots * 200);
  });
});

describe('npm run bench -- queues', () => {
  it('committed results have the published form, and a document without a part has not', () => {
    const names = readdirSync(results).filter((name) => name.startsWith('queues-'));
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const document = JSON.parse(readFileSync(`${results}${name}`, 'utf8')) as object;
      expect(queuesResultSchema.safeParse(document).error).toBeUndefined();
      const { error } = queuesResultSchema.safeParse({ ...document, variants: undefined });
      expect(z.prettifyError(error!)).toContain('variants');
    }
  });
});
