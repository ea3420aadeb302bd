import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { Dispatcher } from '../../src/api/dispatch/dispatcher.js';
import { createMetrics } from '../../src/api/metrics.js';
import { openDatabase } from '../../src/db/database.js';
import type { Database } from '../../src/db/database.js';
import { brand } from '../../src/domain/process/ids.js';
import type { IdentityId } from '../../src/domain/process/ids.js';
import type { LedgerChanged } from '../../src/workflows/messages.js';
import { createTestDatabase } from '../support/stack.js';
import type { TestDatabase } from '../support/stack.js';

const person = (): IdentityId => brand<IdentityId>(randomUUID());

/** A lifecycle in which nobody hears of anything but a cut until `answer` is called. */
function slowLifecycle() {
  const told: (LedgerChanged & { readonly identityId: IdentityId })[] = [];
  const held: (() => void)[] = [];
  return {
    told,
    answer: () => held.splice(0).forEach((one) => one()),
    async ledgerChanged(identityId: IdentityId, change: LedgerChanged) {
      told.push({ identityId, ...change });
      if (!change.urgent) await new Promise<void>((resolve) => held.push(resolve));
      return { known: change.ledgerVersion };
    },
  };
}

describe('the dispatcher, while everybody it tells takes their time', () => {
  let database: TestDatabase;
  let db: Database;
  beforeAll(async () => {
    database = await createTestDatabase();
    db = openDatabase(database.app);
  });
  afterAll(async () => {
    await db?.destroy();
    await database?.drop();
  });

  function start(concurrency: number) {
    const lifecycle = slowLifecycle();
    const dispatcher = new Dispatcher({
      ...{ db, lifecycle, concurrency },
      metrics: createMetrics(),
      logger: pino({ level: 'silent' }),
    });
    const tell = (identityId: IdentityId, ledgerVersion: number, urgent: boolean) =>
      dispatcher.notify({ identityId, ledgerVersion, urgent });
    return { lifecycle, dispatcher, tell };
  }

  it('tells of a cut at once: neither those on their way nor those that wait are before it', async () => {
    const { lifecycle, dispatcher, tell } = start(4);
    for (let n = 0; n < 1_000; n += 1) tell(person(), 1, false);
    const cut = person();
    tell(cut, 2, true);
    expect(lifecycle.told).toHaveLength(5);
    expect(lifecycle.told.at(-1)).toEqual({ identityId: cut, ledgerVersion: 2, urgent: true });
    const stopped = dispatcher.stop();
    lifecycle.answer();
    await stopped;
  });

  it('tells of the cut of somebody whose other news are on their way, and sends what waited along with it', async () => {
    const { lifecycle, dispatcher, tell } = start(1);
    const [busy, waiting] = [person(), person()];
    tell(busy, 1, false);
    tell(waiting, 3, false);
    tell(busy, 2, true);
    tell(waiting, 2, true);
    expect(lifecycle.told).toEqual([
      { identityId: busy, ledgerVersion: 1, urgent: false },
      { identityId: busy, ledgerVersion: 2, urgent: true },
      { identityId: waiting, ledgerVersion: 3, urgent: true },
    ]);
    const stopped = dispatcher.stop();
    lifecycle.answer();
    await stopped;
    expect(lifecycle.told).toHaveLength(3);
  });
});
