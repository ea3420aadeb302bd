import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { TransitionKind } from '../../../src/domain/process/kinds.js';
import { Queue, at, told, transition } from './queue-model.js';

const KINDS: readonly TransitionKind[] = ['joiner', 'rehire', 'mover', 'leaver', 'rescinded-hire', 'leave-start'];

const oneTransition = fc
  .record({
    kind: fc.constantFrom(...KINDS),
    ordinal: fc.integer({ min: 1, max: 2 }),
    days: fc.integer({ min: -5, max: 5 }),
    status: fc.constantFrom('standing' as const, 'standing' as const, 'cancelled' as const),
    notice: fc.boolean(),
  })
  .map(({ kind, ordinal, days, status, notice }) =>
    transition(kind, ordinal, { days, status, ...(notice && kind === 'leaver' ? { noticeAt: at(days - 3) } : {}) }),
  );

const ledger = fc.uniqueArray(oneTransition, { selector: (one) => one.id, maxLength: 6 });

/** What happens between two looks: the ledger changes, a process gets on, time passes. */
const event = fc.oneof(
  fc.record({ is: fc.constant('ledger' as const), transitions: ledger }),
  fc.record({ is: fc.constant('process' as const), pick: fc.nat(), how: fc.constantFrom('act', 'wait', 'finish') }),
  fc.record({ is: fc.constant('day' as const) }),
);
type Event = typeof event extends fc.Arbitrary<infer E> ? E : never;

function happen(queue: Queue, what: Event, days: number): void {
  if (what.is === 'ledger')
    queue.transitions = [...what.transitions].sort((a, b) => (a.effectiveAt < b.effectiveAt ? -1 : 1));
  if (what.is === 'day') queue.now = at(days);
  if (what.is !== 'process') return;
  const living = queue.rows.filter((row) => row.state === 'running');
  const row = living[what.pick % Math.max(1, living.length)];
  if (row === undefined) return;
  if (what.how === 'act') queue.set(row.processId, { hasActed: true, isWaiting: false });
  if (what.how === 'wait') queue.set(row.processId, { isWaiting: true });
  if (what.how === 'finish') {
    queue.set(row.processId, { state: 'completed', hasActed: true, isWaiting: false });
  }
}

/** Lets everything that runs come to its end and the queue do what remains. */
function settle(queue: Queue): void {
  for (let turn = 0; turn < 40; turn += 1) {
    queue.advance();
    const running = queue.rows.filter((row) => row.state === 'running');
    if (running.length === 0) return;
    for (const row of running) queue.set(row.processId, { state: 'completed', hasActed: true });
  }
  throw new Error('the queue never comes to rest');
}

describe('whatever happens to a queue', () => {
  const life = fc.array(event, { minLength: 1, maxLength: 12 });

  it('steps that were taken are not given again', () => {
    fc.assert(
      fc.property(life, (events) => {
        const queue = new Queue();
        events.forEach((what, index) => {
          happen(queue, what, index);
          queue.advance();
          expect(told(queue.ask().steps)).toEqual([]);
        });
      }),
      { numRuns: 2_000 },
    );
  });

  it('it comes to rest, and a leaver that stands and is due has cut after everything that came before it', () => {
    fc.assert(
      fc.property(life, (events) => {
        const queue = new Queue();
        events.forEach((what, index) => {
          happen(queue, what, index);
          queue.advance();
        });
        settle(queue);
        expect(queue.ask()).toMatchObject({ steps: [], isBlocked: false });
        const due = queue.transitions.filter((one) => one.status === 'standing' && one.effectiveAt <= queue.now);
        for (const one of due) {
          const row = queue.row(one.id);
          expect(row.digest).toBe(one.digest);
          if (one.kind === 'leaver') expect(row.processKind).toBe('leaver');
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('a due cut is never held up', () => {
    fc.assert(
      fc.property(life, (events) => {
        const queue = new Queue();
        events.forEach((what, index) => {
          happen(queue, what, index);
          queue.advance();
        });
        const cut = transition('leaver', 9, { days: -5, employment: 'emp-9', digest: 'a fresh cut' });
        queue.now = at(events.length);
        const steps = queue.advance([...queue.transitions, cut]);
        expect(told(steps)).toContain('cut emp-9/leaver/9 r1 leaver');
        const giving = queue.rows.filter((row) => row.state === 'running' && row.processKind !== 'leaver');
        expect(giving).toEqual([]);
      }),
      { numRuns: 1_000 },
    );
  });
});
