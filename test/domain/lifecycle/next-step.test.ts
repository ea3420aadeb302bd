import { describe, expect, it } from '@jest/globals';
import { NOW, Queue, at, cancelled, told, transition } from './queue-model.js';

const joiner = transition('joiner', 1, { days: -10 });
const mover = transition('mover', 1, { days: -2 });
const leaver = transition('leaver', 1, { days: -1 });

/** A queue whose joiner is long done. */
function employed(): Queue {
  const queue = new Queue();
  queue.advance([joiner]);
  queue.finish(joiner.id);
  return queue;
}

describe('what comes due', () => {
  it('is opened in order, one at a time', () => {
    const queue = new Queue();
    const leave = transition('leave-start', 1, { days: -1 });
    expect(told(queue.advance([leave, joiner]))).toEqual(['open emp-1/joiner/1 r1 joiner']);
    expect(queue.ask()).toMatchObject({ steps: [], isBlocked: true });
    queue.finish(joiner.id);
    expect(told(queue.advance())).toEqual(['open emp-1/leave-start/1 r1 leave']);
    queue.finish(leave.id);
    expect(queue.ask()).toEqual({ steps: [], isBlocked: false });
  });

  it('in the future gives the next instant at which to look, lead time included', () => {
    const queue = employed();
    const later = transition('rehire', 2, { days: 40 });
    queue.advance([joiner, later, transition('mover', 7, { days: 50 })]);
    expect(queue.ask()).toEqual({ steps: [], isBlocked: false, nextDueAt: at(37) });
    queue.now = at(37);
    expect(told(queue.advance())).toEqual(['open emp-1/rehire/2 r1 rehire']);
  });

  it('begins at notice when the leaver has one, and is no cut then', () => {
    const queue = employed();
    const noticed = transition('leaver', 1, { days: 20, noticeAt: at(-1) });
    expect(told(queue.advance([joiner, noticed]))).toEqual(['open emp-1/leaver/1 r1 leaver']);
  });

  it('passes a process that only waits, and not one that works', () => {
    const queue = employed();
    const first = transition('mover', 1, { days: -3 });
    queue.advance([joiner, first]);
    const second = transition('mover', 2, { days: 0 });
    expect(told(queue.advance([joiner, first, second]))).toEqual([]);
    expect(queue.ask().isBlocked).toBe(true);
    queue.set(queue.row(first.id).processId, { isWaiting: true });
    expect(told(queue.advance())).toEqual(['open emp-1/mover/2 r1 mover']);
  });
});

describe('coalescing (edge case 52)', () => {
  const storm = Array.from({ length: 50 }, (_, n) => transition('mover', n + 1, { days: -1 + n / 1440 }));

  it('50 changes in a minute are one process', () => {
    const queue = employed();
    const steps = told(queue.advance([joiner, ...storm]));
    expect(steps.filter((step) => step.startsWith('open'))).toEqual(['open emp-1/mover/1 r1 mover']);
    expect(steps.filter((step) => step.startsWith('coalesce'))).toHaveLength(49);
    queue.finish('emp-1/mover/1');
    expect(queue.ask()).toEqual({ steps: [], isBlocked: false });
  });

  it('50 changes behind a working process are one process after it', () => {
    const queue = employed();
    queue.advance([joiner, storm[0] ?? mover]);
    for (const one of storm) queue.advance([...queue.transitions.filter((known) => known.id !== one.id), one]);
    expect(queue.rows).toHaveLength(2);
    queue.finish('emp-1/mover/1');
    queue.advance();
    expect(queue.rows.filter((row) => row.state === 'running')).toHaveLength(1);
    expect(queue.rows.filter((row) => row.state === 'superseded')).toHaveLength(48);
  });

  it('a joiner takes in the movers behind it, and never a leave', () => {
    const queue = new Queue();
    const steps = told(queue.advance([joiner, transition('leave-start', 1, { days: -3 }), mover]));
    expect(steps).toEqual(['open emp-1/joiner/1 r1 joiner', 'coalesce emp-1/mover/1 into emp-1/joiner/1']);
  });

  it('a coalesced mover that is withdrawn is moved back', () => {
    const queue = new Queue();
    queue.advance([joiner, mover]);
    queue.finish(joiner.id);
    expect(told(queue.advance([joiner, cancelled(mover)]))).toEqual(['open emp-1/mover/1 r2 mover']);
  });
});

describe('a cut', () => {
  it('waits for nobody and cancels what runs behind it', () => {
    const queue = employed();
    queue.advance([joiner, mover]);
    expect(told(queue.advance([joiner, mover, leaver]))).toEqual([
      'cut emp-1/leaver/1 r1 leaver',
      'cancel emp-1/mover/1/r1 (cut)',
    ]);
    expect(queue.ask().steps).toEqual([]);
  });

  it('takes in what came due before it and never ran', () => {
    const queue = new Queue();
    expect(told(queue.advance([joiner, mover, leaver]))).toEqual([
      'cut emp-1/leaver/1 r1 leaver',
      'coalesce emp-1/joiner/1 into emp-1/leaver/1',
      'coalesce emp-1/mover/1 into emp-1/leaver/1',
    ]);
  });

  it('does not take in the undo of another hire', () => {
    const queue = new Queue();
    const undo = transition('rescinded-hire', 1, { days: -900, employment: 'emp-2' });
    expect(told(queue.advance([undo, leaver]))).toEqual(['cut emp-1/leaver/1 r1 leaver']);
    expect(queue.ask().isBlocked).toBe(true);
    queue.finish(leaver.id);
    expect(told(queue.advance())).toEqual(['open emp-2/rescinded-hire/1 r1 leaver']);
  });

  it('is finished before a rehire that is due gives access again (edge case 41)', () => {
    const queue = employed();
    const rehire = transition('rehire', 1, { days: 0, employment: 'emp-2' });
    queue.advance([joiner, leaver]);
    expect(told(queue.advance([joiner, leaver, rehire]))).toEqual([]);
    expect(queue.ask().isBlocked).toBe(true);
    queue.finish(leaver.id);
    expect(told(queue.advance())).toEqual(['open emp-2/rehire/1 r1 rehire']);
  });

  it('stops the preparation of a later rehire, which is taken up again when the cutting is done', () => {
    const queue = employed();
    const rehire = transition('rehire', 1, { days: 2, employment: 'emp-2' });
    queue.advance([joiner, rehire]);
    queue.set(queue.row(rehire.id).processId, { isWaiting: true, hasActed: true });
    expect(told(queue.advance([joiner, leaver, rehire]))).toEqual([
      'cut emp-1/leaver/1 r1 leaver',
      'cancel emp-2/rehire/1/r1 (cut)',
    ]);
    expect(told(queue.advance())).toEqual([]);
    queue.finish(leaver.id);
    expect(told(queue.advance())).toEqual(['open emp-2/rehire/1 r2 rehire']);
  });

  it('stays one cut when the date of a past end is corrected, and a running rehire goes on after it', () => {
    const queue = employed();
    queue.advance([joiner, leaver]);
    queue.finish(leaver.id);
    queue.set(queue.row(leaver.id).processId, { state: 'superseded' });
    const rehire = transition('rehire', 1, { days: 0, employment: 'emp-2' });
    queue.advance([joiner, leaver, rehire]);
    const corrected = { ...leaver, digest: 'corrected', effectiveAt: at(-0.5) };
    queue.advance([joiner, corrected, rehire]);
    queue.finish(leaver.id);
    queue.advance();
    expect(queue.row(rehire.id)).toMatchObject({ revision: 2, state: 'running' });
  });
});

describe('a changed transition', () => {
  it('tells its living process', () => {
    const queue = employed();
    queue.advance([joiner, mover]);
    expect(told(queue.advance([joiner, { ...mover, digest: 'other' }]))).toEqual(['amend emp-1/mover/1/r1']);
    expect(queue.ask().steps).toEqual([]);
  });

  it('opens another revision of a done process', () => {
    const queue = employed();
    expect(told(queue.advance([{ ...joiner, digest: 'corrected' }]))).toEqual(['open emp-1/joiner/1 r2 joiner']);
  });

  it.each([
    { hasActed: false, expected: 'cancel emp-1/joiner/1/r1 (transition-cancelled)' },
    { hasActed: true, expected: 'amend emp-1/joiner/1/r1' },
  ])('that is cancelled ends a process that did nothing and is told to one that did ($hasActed)', (given) => {
    const queue = new Queue();
    const future = transition('joiner', 1, { days: 2 });
    queue.advance([future]);
    queue.set(queue.row(future.id).processId, { hasActed: given.hasActed, isWaiting: true });
    expect(told(queue.advance([cancelled(future)]))).toEqual([given.expected]);
    expect(queue.ask().steps).toEqual([]);
  });

  it('that vanished is the same as cancelled', () => {
    const queue = employed();
    queue.advance([joiner, mover]);
    expect(told(queue.advance([joiner]))).toEqual(['cancel emp-1/mover/1/r1 (transition-cancelled)']);
    expect(queue.ask().steps).toEqual([]);
  });

  it('moves a done mover back when it is withdrawn, and on again when it stands again', () => {
    const queue = employed();
    queue.advance([joiner, mover]);
    queue.finish(mover.id);
    expect(told(queue.advance([joiner]))).toEqual(['open emp-1/mover/1 r2 mover']);
    expect(queue.ask().steps).toEqual([]);
    queue.finish(mover.id);
    expect(queue.ask().steps).toEqual([]);
    expect(told(queue.advance([joiner, mover]))).toEqual(['open emp-1/mover/1 r3 mover']);
  });

  it('moves a done mover back when it is moved into the future, and on again then', () => {
    const queue = employed();
    queue.advance([joiner, mover]);
    queue.finish(mover.id);
    const later = { ...mover, effectiveAt: at(5), digest: 'later' };
    expect(told(queue.advance([joiner, later]))).toEqual(['open emp-1/mover/1 r2 mover']);
    expect(queue.row(mover.id).effectiveAt).toBe(NOW);
    queue.finish(mover.id);
    expect(queue.ask()).toEqual({ steps: [], isBlocked: false, nextDueAt: at(5) });
    queue.now = at(5);
    expect(told(queue.advance())).toEqual(['open emp-1/mover/1 r3 mover']);
  });

  it('undoes a hire as often as it is rescinded, and makes it as often as it stands', () => {
    const queue = employed();
    const undo = transition('rescinded-hire', 1, { days: -900 });
    for (const turn of [1, 2]) {
      expect(told(queue.advance([undo, cancelled(joiner)]))).toEqual(
        expect.arrayContaining([`open emp-1/rescinded-hire/1 r${turn} leaver`]),
      );
      queue.set(queue.row(undo.id).processId, { state: 'completed', hasActed: true });
      expect(queue.ask().steps).toEqual([]);
      expect(told(queue.advance([joiner]))).toEqual(
        expect.arrayContaining([`open emp-1/joiner/1 r${turn + 1} joiner`]),
      );
      queue.finish(joiner.id);
      expect(queue.ask().steps).toEqual([]);
    }
  });
});

describe('a leaver that is withdrawn', () => {
  /** Cut, in retention, and then the ledger says otherwise. */
  function cutAndThen(word: typeof leaver): Queue {
    const queue = employed();
    queue.advance([joiner, leaver]);
    queue.finish(leaver.id);
    expect(told(queue.advance([joiner, word]))).toEqual(['amend emp-1/leaver/1/r1']);
    queue.reopen(leaver.id);
    expect(told(queue.advance())).toEqual(['open emp-1/leaver/1 r2 rehire']);
    return queue;
  }
  const withdrawn = cancelled(leaver);
  const later = { ...leaver, effectiveAt: at(30), digest: 'later' };

  it.each([
    { word: withdrawn, name: 'cancelled' },
    { word: later, name: 'moved into the future' },
  ])('after its cut ($name) is put right now, once, undisturbed', ({ word }) => {
    const queue = cutAndThen(word);
    expect(queue.row(leaver.id).effectiveAt).toBe(NOW);
    // The restoration has written nothing yet; looking again must not take it for the cancelled leaver.
    expect(queue.ask().steps).toEqual([]);
    queue.set(queue.row(leaver.id).processId, { hasActed: true });
    expect(queue.ask().steps).toEqual([]);
    queue.finish(leaver.id);
    expect(queue.ask().steps).toEqual([]);
  });

  it('cuts again at its new date', () => {
    const queue = cutAndThen(later);
    queue.finish(leaver.id);
    expect(queue.ask().nextDueAt).toBe(at(30));
    queue.now = at(30);
    expect(told(queue.advance())).toEqual(['cut emp-1/leaver/1 r3 leaver']);
  });

  it('cuts again when it stands again after the restoration', () => {
    const queue = cutAndThen(withdrawn);
    queue.finish(leaver.id);
    expect(told(queue.advance([joiner, leaver]))).toEqual(['cut emp-1/leaver/1 r3 leaver']);
  });

  it('cuts at once when it stands again while the restoration still runs, and cancels that', () => {
    const queue = cutAndThen(withdrawn);
    expect(told(queue.advance([joiner, leaver]))).toEqual([
      'cut emp-1/leaver/1 r3 leaver',
      'cancel emp-1/leaver/1/r2 (cut)',
    ]);
    expect(queue.ask().steps).toEqual([]);
  });

  it('before it began is cancelled without a trace', () => {
    const queue = employed();
    const noticed = transition('leaver', 1, { days: 20, noticeAt: at(-1) });
    queue.advance([joiner, noticed]);
    queue.set(queue.row(noticed.id).processId, { isWaiting: true });
    expect(told(queue.advance([joiner, cancelled(noticed)]))).toEqual([
      'cancel emp-1/leaver/1/r1 (transition-cancelled)',
    ]);
    expect(told(queue.advance([joiner]))).toEqual(['note emp-1/leaver/1/r1']);
    expect(queue.ask().steps).toEqual([]);
  });

  it('after its cut began goes on, because it has cancelled others, and is put right then', () => {
    const queue = new Queue();
    queue.advance([joiner, leaver]);
    expect(queue.row(leaver.id)).toMatchObject({ state: 'running', hasActed: false });
    expect(told(queue.advance([joiner, withdrawn]))).toEqual(['amend emp-1/leaver/1/r1']);
    queue.finish(leaver.id, false);
    queue.reopen(leaver.id);
    expect(told(queue.advance())).toEqual(['open emp-1/leaver/1 r2 rehire']);
  });

  it('after a cut of a person who had nothing yet still makes the joiner good that it took in', () => {
    const queue = new Queue();
    queue.advance([joiner, leaver]);
    queue.finish(leaver.id, false);
    queue.set(queue.row(leaver.id).processId, { state: 'completed' });
    expect(told(queue.advance([joiner, withdrawn]))).toEqual(['open emp-1/leaver/1 r2 rehire']);
  });
});

describe('a leave of absence', () => {
  const start = transition('leave-start', 1, { days: -2 });
  const end = transition('leave-end', 1, { days: -1 });

  function suspended(): Queue {
    const queue = employed();
    queue.advance([joiner, start]);
    queue.finish(start.id);
    return queue;
  }

  it('that never begins (a short one) is nothing due, and nothing to come', () => {
    const queue = employed();
    queue.neverBegins.add(start.id);
    queue.advance([joiner, start]);
    expect(queue.ask()).toEqual({ steps: [], isBlocked: false });
  });

  it('takes in no mover: each has its own plan', () => {
    const queue = employed();
    queue.advance([joiner, start, mover]);
    expect(queue.rows.map((row) => row.processKind)).toEqual(['joiner', 'leave']);
  });

  it('whose closing waits for a person is overtaken by the return; one that works is waited for', () => {
    const queue = employed();
    queue.advance([joiner, start]);
    expect(told(queue.advance([joiner, start, end]))).toEqual([]);
    queue.set(queue.row(start.id).processId, { isWaiting: true });
    expect(told(queue.advance())).toEqual([
      'open emp-1/leave-end/1 r1 leave',
      'cancel emp-1/leave-start/1/r1 (overtaken)',
    ]);
    queue.finish(end.id);
    expect(queue.ask()).toEqual({ steps: [], isBlocked: false });
  });

  it('taken back, or moved ahead, is opened again; on its new date it closes again', () => {
    const queue = suspended();
    const later = transition('leave-start', 1, { days: 20 });
    expect(told(queue.advance([joiner, later]))).toEqual(['open emp-1/leave-start/1 r2 leave']);
    expect(queue.steps('leave-end')).toHaveLength(1);
    queue.finish(start.id);
    expect(queue.ask()).toEqual({ steps: [], isBlocked: false, nextDueAt: at(20) });
    queue.now = at(20);
    expect(told(queue.advance())).toEqual(['open emp-1/leave-start/1 r3 leave']);
    expect(queue.steps('leave-end')).toHaveLength(1);
  });

  it('goes on when the return is taken back', () => {
    const queue = suspended();
    queue.advance([joiner, start, end]);
    queue.finish(end.id);
    expect(told(queue.advance([joiner, start, cancelled(end)]))).toEqual(['open emp-1/leave-end/1 r2 leave']);
    expect(queue.steps('leave-start')).toHaveLength(2);
  });

  it('is answered for by a cut: cancelled behind it, or taken in before it began', () => {
    const queue = employed();
    queue.advance([joiner, start]);
    expect(told(queue.advance([joiner, start, leaver]))).toContain('cancel emp-1/leave-start/1/r1 (cut)');
    const other = employed();
    expect(told(other.advance([joiner, start, leaver]))).toEqual([
      'cut emp-1/leaver/1 r1 leaver',
      'coalesce emp-1/leave-start/1 into emp-1/leaver/1',
    ]);
  });
});
