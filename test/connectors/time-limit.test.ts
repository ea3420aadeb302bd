import { describe, expect, it } from '@jest/globals';
import { getEventListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { timeLimit } from '../../src/connectors/shared/time-limit.js';
import { newContext } from './kit/checks.js';

describe('the time limit of an operation', () => {
  it('ends with the caller, who says why', () => {
    const caller = new AbortController();
    const { signal } = timeLimit(newContext({ signal: caller.signal }), 'get', 1_000);
    expect(signal.aborted).toBe(false);
    caller.abort(new Error('the process was cancelled'));
    expect(signal.reason).toEqual(new Error('the process was cancelled'));
  });

  it('ends after the connector’s own time, and at the caller’s deadline when that is nearer', async () => {
    const own = timeLimit(newContext(), 'get', 20);
    const near = timeLimit(newContext({ withinMs: 20 }), 'get', 60_000);
    expect(near.remainingMs).toBeLessThanOrEqual(20);
    await delay(100);
    expect([own.signal, near.signal].map(({ reason }) => (reason as Error).name)).toEqual([
      'TimeoutError',
      'TimeoutError',
    ]);
  });

  it('never ends an operation that is over, and leaves nothing on the caller’s signal', async () => {
    const caller = new AbortController();
    const limits = Array.from({ length: 20 }, () => timeLimit(newContext({ signal: caller.signal }), 'get', 20));
    expect(getEventListeners(caller.signal, 'abort')).toHaveLength(20);
    for (const { end } of limits) end();
    expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
    caller.abort();
    await delay(60);
    expect(limits.some(({ signal }) => signal.aborted)).toBe(false);
  });

  it('lets nothing begin when the time is over or the caller has cancelled', () => {
    const late = { code: 'TIMEOUT', sent: false };
    expect(() => timeLimit(newContext({ withinMs: -1 }), 'get', 1_000)).toThrow(expect.objectContaining(late));
    const caller = AbortSignal.abort();
    expect(() => timeLimit(newContext({ signal: caller }), 'get', 1_000)).toThrow(expect.objectContaining(late));
  });
});
