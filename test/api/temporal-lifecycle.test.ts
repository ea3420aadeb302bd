import { createServer } from 'node:net';
import { Client, Connection } from '@temporalio/client';
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { LifecycleUnreachable, RefusedDecision } from '../../src/api/dispatch/lifecycle.js';
import type { Lifecycle } from '../../src/api/dispatch/lifecycle.js';
import { createTemporalLifecycle } from '../../src/api/dispatch/temporal-lifecycle.js';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { identityWorkflowId } from '../../src/domain/process/ids.js';
import { createTestNamespace } from '../support/stack.js';

let connection: Connection;
let client: Client;
let lifecycle: Lifecycle;
beforeAll(async () => {
  const { address, namespace } = await createTestNamespace();
  connection = await Connection.connect({ address });
  client = new Client({ connection, namespace });
  lifecycle = createTemporalLifecycle(client, { deadlineMs: 1_500 });
});
afterAll(() => connection.close());

const decision = {
  approvalId: 'a',
  decisionId: 'd',
  decidedBy: randomUUID() as IdentityId,
  verdict: 'approved',
} as const;

describe('the messages to a real Temporal server', () => {
  it('starts the identity workflow even while no worker is there, and says that it was not heard', async () => {
    const identityId = randomUUID() as IdentityId;
    const told = lifecycle.ledgerChanged(identityId, { ledgerVersion: 1, urgent: true });
    await expect(told).rejects.toThrow();
    const found = await client.workflow.getHandle(identityWorkflowId(identityId)).describe();
    expect([found.type, found.taskQueue, found.status.name]).toEqual(['identityWorkflow', 'lifecycle', 'RUNNING']);
    // Said again it is the same execution.
    await expect(lifecycle.ledgerChanged(identityId, { ledgerVersion: 2, urgent: false })).rejects.toThrow();
    expect((await client.workflow.getHandle(identityWorkflowId(identityId)).describe()).runId).toBe(found.runId);
  });

  it('tells a process that does not exist from one that does not answer', async () => {
    const missing = lifecycle.decideApproval('identity:none/process:none', decision);
    await expect(missing).rejects.toThrow(RefusedDecision);
    const identityId = randomUUID() as IdentityId;
    await lifecycle.ledgerChanged(identityId, { ledgerVersion: 1, urgent: false }).catch(() => undefined);
    const silent = lifecycle.resolveTask(identityWorkflowId(identityId), {
      taskId: 't',
      decisionId: 'd',
      resolution: 'retry',
    });
    await expect(silent).rejects.toThrow(LifecycleUnreachable);
  });

  it('knows whether a server is there', async () => {
    expect(await lifecycle.isReachable()).toBe(true);
    const dead = Connection.lazy({ address: `127.0.0.1:${await deadPort()}` });
    const none = createTemporalLifecycle(new Client({ connection: dead }), { deadlineMs: 1_000 });
    expect(await none.isReachable()).toBe(false);
    await expect(none.decideApproval('x', decision)).rejects.toThrow(LifecycleUnreachable);
    await dead.close();
  });
});

async function deadPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
