import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client, Connection } from '@temporalio/client';
import {
  DefaultLogger,
  NativeConnection,
  Runtime,
  Worker,
  bundleWorkflowCode,
  makeTelemetryFilterString,
} from '@temporalio/worker';
import { fileURLToPath } from 'node:url';
import { createTestNamespace } from '../support/stack.js';
import { leakyActivities } from './fixtures/leaky-activities.js';
import { createFinder } from './markers.js';
import { scanNamespace, watchPending } from './scan-history.js';
import type { Leak } from './scan-history.js';

const MARKER = { name: 'login', value: 'Zoe.Quörblat' };
const backwards = [...MARKER.value].reverse().join('');

describe('the finder', () => {
  const find = createFinder([MARKER]);
  const text = `user ${MARKER.value} exists`;

  it.each([
    ['plain', text],
    ['plain', text.toUpperCase()],
    ['url-encoded', encodeURIComponent(text)],
    ['json-escaped', 'user zoe.qu\\u00f6rblat exists'],
    ['hex', Buffer.from(text).toString('hex')],
    ['base64', Buffer.from(text).toString('base64')],
    ['base64', Buffer.from(`a${text}`).toString('base64')],
    ['base64', Buffer.from(`ab${text.toLowerCase()}`).toString('base64')],
    ['base64url', Buffer.from(`ab${text}`).toString('base64url')],
  ])('knows the value when it is %s', (form, disguised) => {
    expect(find(disguised)).toContainEqual({ marker: 'login', form });
  });

  it('sees nothing where there is nothing', () => {
    expect(find('user zoe.blatquor exists, em9lLmJsYXRxdW9y')).toEqual([]);
  });
});

describe('the scan finds a planted leak', () => {
  let connection: Connection;
  let client: Client;
  let namespace: string;
  let leaks: readonly Leak[];
  let pendingLeaks: readonly Leak[];
  let native: NativeConnection;

  beforeAll(async () => {
    Runtime.install({
      shutdownSignals: [],
      logger: new DefaultLogger('ERROR'),
      telemetryOptions: { logging: { filter: makeTelemetryFilterString({ core: 'ERROR', other: 'ERROR' }) } },
    });
    const given = await createTestNamespace();
    namespace = given.namespace;
    connection = await Connection.connect({ address: given.address });
    native = await NativeConnection.connect({ address: given.address });
    client = new Client({ connection, namespace });
    const workflowsPath = fileURLToPath(new URL('./fixtures/leaky-workflows.ts', import.meta.url));
    const worker = await Worker.create({
      connection: native,
      namespace,
      taskQueue: 'leaky',
      workflowBundle: await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') }),
      activities: leakyActivities(MARKER.value),
    });
    await worker.runUntil(async () => {
      const watch = watchPending(client, namespace, [MARKER]);
      const run = (type: string, options: object = {}) =>
        client.workflow.execute(type, { taskQueue: 'leaky', workflowId: type, args: [], ...options });
      await Promise.all([
        run('inputLeak', { args: [`about ${MARKER.value}`] }),
        run('failureLeak'),
        run('heartbeatLeak'),
        run('summaryLeak', { args: [backwards] }),
        run('memoLeak', { args: [backwards] }),
        run('detailsLeak', { args: [backwards] }),
        run('inputLeak', { workflowId: `run-${MARKER.value}` }),
        run('inputLeak', { workflowId: 'encoded', args: [Buffer.from(MARKER.value).toString('base64')] }),
        run('inputLeak', { workflowId: 'headline', staticSummary: MARKER.value }),
        run('inputLeak', { workflowId: 'clean', args: ['nothing personal'] }),
      ]);
      pendingLeaks = (await watch.stop()).leaks;
      leaks = (await scanNamespace(client, namespace, [MARKER])).leaks;
    });
  });
  afterAll(async () => {
    await connection?.close();
    await native?.close();
  });

  const placesOf = (workflowId: string) =>
    leaks.filter((leak) => leak.workflowId === workflowId).map((leak) => leak.where);

  it.each([
    ['inputLeak', /workflowExecutionStartedEventAttributes\.input/],
    ['failureLeak', /activityTaskFailedEventAttributes\.failure\.cause\.cause\.(message|stackTrace)/],
    ['summaryLeak', /userMetadata\.summary/],
    ['memoLeak', /upsertedMemo|memo/],
    ['detailsLeak', /^details/],
    ['headline', /userMetadata\.summary/],
    ['encoded', /workflowExecutionStartedEventAttributes\.input/],
    [`run-${MARKER.value}`, /^id$/],
  ])('in %s', (workflowId, place) => {
    expect(placesOf(workflowId)).toContainEqual(expect.stringMatching(place));
  });

  it('in the raw bytes of an event, whatever field it is in', () => {
    expect(placesOf('inputLeak')).toContainEqual(expect.stringMatching(/ raw$/));
  });

  it('in a heartbeat, which only a running execution shows', () => {
    expect(pendingLeaks).toContainEqual(
      expect.objectContaining({
        workflowId: 'heartbeatLeak',
        where: expect.stringMatching(/pendingActivities\.0\.heartbeatDetails/),
      }),
    );
  });

  it('and reports nothing where nothing leaks', () => {
    expect(placesOf('clean')).toEqual([]);
  });
});
