import type { Client } from '@temporalio/client';
import { faker } from '@faker-js/faker';
import { setTimeout as delay } from 'node:timers/promises';
import { pino } from 'pino';
import type { ApiDeps } from '../../src/api/deps.js';
import { Dispatcher } from '../../src/api/dispatch/dispatcher.js';
import type { Notice } from '../../src/api/dispatch/dispatcher.js';
import { createTemporalLifecycle } from '../../src/api/dispatch/temporal-lifecycle.js';
import { confirmCut, requestCuts } from '../../src/api/cuts/batches.js';
import { CutRunner } from '../../src/api/cuts/runner.js';
import { acceptRecords } from '../../src/api/hr/intake.js';
import type { Caller } from '../../src/api/http/tokens.js';
import { cutIdentity } from '../../src/api/identities/cut.js';
import type { IntakeDeps } from '../../src/api/hr/intake.js';
import { createMetrics } from '../../src/api/metrics.js';
import { openDatabase } from '../../src/db/database.js';
import type { Database } from '../../src/db/database.js';
import { KeyRing } from '../../src/db/keys.js';
import { brand } from '../../src/domain/process/ids.js';
import type { IdentityId, Instant } from '../../src/domain/process/ids.js';
import { PolicyStore } from '../../src/planning/policy-store.js';
import type { Tenancy } from './stack.js';

/** Tenure's API without HTTP: takes hires, cuts people, and tells identity workflows, as the shipped code does it. */
export interface Door {
  readonly db: Database;
  readonly client: Client;
  /** Records hires of new people; with `isTold: false` nobody is told until `tell`. */
  hire(count: number, isTold?: boolean): Promise<readonly IdentityId[]>;
  /** Takes HR records as they are, and tells of them. Throws when one is not accepted. */
  record(records: readonly Record<string, unknown>[]): Promise<readonly IdentityId[]>;
  /** Tells the identity workflows of everybody who was recorded silently. */
  tell(): void;
  cut(identityId: IdentityId): Promise<void>;
  /**
   * Proposes a cut of many, has a second principal confirm it, and resolves when everybody's end is recorded. Returns the instant of the confirmation in
   * milliseconds: nothing happens before it.
   */
  cutMany(people: readonly IdentityId[]): Promise<number>;
  close(): Promise<void>;
}

export function openDoor(tenancy: Tenancy): Door {
  const db = openDatabase(tenancy.appUrl, { name: 'bench-door', max: 16 });
  const logger = pino({ level: 'silent' });
  const metrics = createMetrics();
  const lifecycle = createTemporalLifecycle(tenancy.client);
  const dispatcher = new Dispatcher({ db, lifecycle, metrics, logger });
  const deps = {
    db,
    keys: new KeyRing(tenancy.masterKey),
    policies: new PolicyStore(),
    metrics,
    logger,
    lifecycle,
    dispatcher,
    now: () => brand<Instant>(new Date().toISOString()),
  };
  const silent: Notice[] = [];
  const people = inventPeople();
  return {
    db,
    client: tenancy.client,
    hire(count, isTold = true) {
      const records = Array.from({ length: count }, () => people.next().value);
      return accept(isTold ? deps : { ...deps, dispatcher: { notify: (notice) => void silent.push(notice) } }, records);
    },
    record: (records) => accept(deps, records),
    tell() {
      for (const notice of silent.splice(0)) dispatcher.notify(notice);
    },
    async cut(identityId) {
      // What the API hands in beside these is for other routes.
      await cutIdentity(deps as unknown as ApiDeps, { identityId, actor: 'bench' });
    },
    async cutMany(ids) {
      const api = deps as unknown as ApiDeps;
      const request = { people: ids, reason: 'bench', dryRun: false, caller: principal('first') };
      const { cutId, state } = await requestCuts(api, request);
      if (cutId === undefined) throw new Error('nobody of them can be cut');
      const confirmedAt = Date.now();
      if (state === 'proposed') await confirmCut(api, cutId, principal('second'));
      await new CutRunner(api).run(cutId);
      return confirmedAt;
    },
    async close() {
      await dispatcher.stop();
      await db.destroy();
    },
  };
}

async function accept(intake: IntakeDeps, records: readonly Record<string, unknown>[]): Promise<readonly IdentityId[]> {
  const results = await acceptRecords(intake, { name: 'bench' }, records);
  const refused = results.find((result) => result.status !== 'accepted');
  if (refused !== undefined) throw new Error(`a record was not accepted: ${JSON.stringify(refused)}`);
  return results.flatMap((result) => result.identityId ?? []);
}

/** Two of them are the four eyes of a cut of many. */
function principal(name: string): Caller {
  return { tokenId: name, name, role: 'operator' };
}

/** Invented people, the same ones in every run; all of them began to work a while ago, so everything is due at once. */
function* inventPeople(): Generator<Record<string, unknown>, never> {
  faker.seed(3);
  for (let serial = 1; ; serial += 1) {
    yield {
      source: 'hr',
      eventId: `hire-${serial}`,
      person: `person-${serial}`,
      employment: `person-${serial}-1`,
      kind: 'hire',
      startOn: '2024-01-15',
      zone: 'Etc/UTC',
      worker: 'employee',
      attributes: {
        givenName: faker.person.firstName(),
        familyName: `${faker.person.lastName()} ${faker.string.alpha({ length: 4, casing: 'lower' })}`,
        employeeNumber: String(100_000 + serial),
        department: 'Engineering',
      },
    };
  }
}

/** Waits until `isThere` says so, looking every `everyMs`. Fails with `what` and the last word of `isThere` when it takes too long. */
export async function until(
  what: string,
  isThere: () => Promise<boolean | string>,
  { withinMs = 300_000, everyMs = 100 } = {},
): Promise<void> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const answer = await isThere();
    if (answer === true) return;
    if (performance.now() > deadline) throw new Error(`${what}: not within ${withinMs} ms (${String(answer)})`);
    await delay(everyMs);
  }
}
