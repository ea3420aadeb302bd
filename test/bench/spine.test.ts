import { describe, expect, it } from '@jest/globals';
import proto from '@temporalio/proto';
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { resultSchema } from '../../bench/spine/result.js';
import { differences, scriptOf, shapeOf } from '../../bench/spine/shape.js';
import { median, percentile } from '../../bench/statistics.js';
import { bench, benchHomes } from './bench.js';

const results = fileURLToPath(new URL('../../bench/results/', import.meta.url));

describe('npm run bench -- spine', () => {
  it('measures in small, prints one JSON document of the published form, and leaves nothing behind', async () => {
    const before = new Set(benchHomes());
    const small = ['--people', '2', '--rounds', '1', '--idle-people', '1', '--concurrency', '2'];
    const run = await bench('spine', ...small);
    expect(run.stderr).toContain('engine: round 1 of 1');
    expect(run.code).toBe(0);
    const result = resultSchema.parse(JSON.parse(run.stdout));
    expect(result.process).toMatchObject({ applications: 8, accounts: 8 });
    // The bare workflows are what Tenure's own histories say, nothing less.
    expect(differences(result.engine.shape.child, result.engine.bareShape.child)).toEqual([]);
    expect(result.engine.bareShape.child.activities).toBeGreaterThan(0);
    expect(result.engine.bareShape.child.localActivities).toBeGreaterThan(0);
    expect(Object.keys(result.targets.tier1)).toEqual(['proven']);
    expect(result.targets.joiners.idle.latencyMs.p50).toBeGreaterThan(0);
    expect(result.targets.cuts.load.latencyMs.samples).toBe(2);
    expect(benchHomes().filter((name) => !before.has(name))).toEqual([]);
  }, 180_000);

  it('says what is wrong with its arguments', async () => {
    expect(await bench('spine', '--people', 'many')).toMatchObject({ code: 1, stdout: '' });
    expect((await bench('wheel')).stderr).toContain('npm run bench -- spine');
    expect((await bench('--help')).stdout).toContain('--people N');
  });

  it('committed results have the published form, and a document without a part has not', () => {
    const names = readdirSync(results).filter((name) => name.startsWith('spine-'));
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const document = JSON.parse(readFileSync(`${results}${name}`, 'utf8')) as object;
      expect(resultSchema.safeParse(document).error).toBeUndefined();
      const { error } = resultSchema.safeParse({ ...document, engine: undefined });
      expect(z.prettifyError(error!)).toContain('engine');
    }
  });
});

describe('the shape of a history', () => {
  const { EventType } = proto.temporal.api.enums.v1;
  const local = {
    eventType: EventType.EVENT_TYPE_MARKER_RECORDED,
    markerRecordedEventAttributes: { markerName: 'core_local_activity' },
  };
  const history = {
    events: [
      { eventType: EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED },
      local,
      { eventType: EventType.EVENT_TYPE_MARKER_RECORDED, markerRecordedEventAttributes: { markerName: 'Version' } },
      { eventType: EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED },
      local,
      { eventType: EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED },
    ],
  };

  it('is counted from its events, and its script keeps their order', () => {
    expect(shapeOf(history)).toMatchObject({ events: 6, localActivities: 2, activities: 1, signalsReceived: 1 });
    expect(scriptOf(history).map((step) => step.do)).toEqual(['local', 'activity', 'local', 'await-signal']);
  });

  it('has a script that carries as much as the history does', () => {
    const payloads = (text: string) => ({ payloads: [{ data: Buffer.from(text) }] });
    const events = [
      {
        ...local,
        markerRecordedEventAttributes: {
          ...local.markerRecordedEventAttributes,
          details: { result: payloads('"four"'), data: payloads('{}') },
        },
      },
      {
        eventId: 7,
        eventType: EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
        activityTaskScheduledEventAttributes: { input: payloads('{"a":1}') },
      },
      {
        eventType: EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
        activityTaskCompletedEventAttributes: { scheduledEventId: 7, result: payloads('[]') },
      },
    ];
    expect(scriptOf(proto.temporal.api.history.v1.History.fromObject({ events }))).toEqual([
      { do: 'local', sent: 0, got: 6 },
      { do: 'activity', sent: 7, got: 2 },
    ]);
  });

  it('differs when one activity is missing', () => {
    const less = { events: history.events.slice(0, 3) };
    expect(differences(shapeOf(history), shapeOf(history))).toEqual([]);
    expect(differences(shapeOf(history), shapeOf(less))).toEqual([
      'activities: 1 expected, 0 found',
      'localActivities: 2 expected, 1 found',
    ]);
  });
});

describe('statistics', () => {
  it('take the middle and the nearest rank', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(percentile([5, 1, 4, 2, 3], 0.5)).toBe(3);
    expect(percentile([1, 2], 0.99)).toBe(2);
  });
});
