import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { confirmErasure, requestErasure } from '../../src/api/erasures/requests.js';
import { liftHold, setHold } from '../../src/api/identities/legal-hold.js';
import type { ApiDeps } from '../../src/api/deps.js';
import type { Caller } from '../../src/api/http/tokens.js';
import { verifyAudit } from '../../src/db/audit.js';
import { openDatabase } from '../../src/db/database.js';
import type { IdentityId, Instant } from '../../src/domain/process/ids.js';
import { verifyReport } from '../../src/report/signature.js';
import { findReport, readReport } from '../../src/report/store.js';
import { createWorld, day, eventually, hire, identityOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { joined, leaves, withoutHands } from './people.js';
import { DAY_MS, processOf, skipTo, timeIn } from './skipping.js';

describe('an erasure after a whole life, in skipped time on the real server', () => {
  let world: World;
  let door: ApiDeps;
  beforeAll(async () => {
    world = await createWorld({
      policy: (files) =>
        withoutHands(files).map((file) =>
          file.path === 'lifecycle.yaml' ? { ...file, text: `${file.text}\nerasure: { keepDays: 0 }\n` } : file,
        ),
    });
    door = {
      ...world.deps,
      dispatcher: world.dispatcher,
      // The door's clock follows the person's processes, which were skipped ahead.
      now: () => new Date(Date.now() + 200 * DAY_MS).toISOString() as Instant,
    } as unknown as ApiDeps;
  });
  afterAll(() => world?.stop());

  const caller = (name: string): Caller => ({ tokenId: randomUUID(), name, role: 'admin' });
  const ask = (identityId: IdentityId) =>
    requestErasure(door, { identityId, caller: caller('privacy'), reason: 'asked', dryRun: false, queue: false });
  const problemOf = (asked: Promise<unknown>) =>
    asked.then(
      () => 'none',
      (error: unknown) => (error as { body?: { type: string } }).body?.type ?? String(error),
    );

  it('is refused until all is proven gone and free; then the person is unreadable, and every proof still holds', async () => {
    const id = await joined(world, 'whole');
    expect(await problemOf(ask(id))).toBe('/problems/still-employed');
    await leaves(world, 'whole', { manner: 'immediate', lastWorkingDay: day(0) });
    const { workflow_id: workflow, process_id: processId } = await processOf(
      world,
      id,
      'leaver',
      (row) => row.state === 'tail',
    );
    // Ends are told apart from retention: deletion is still to come.
    expect(await problemOf(ask(id))).toBe('/problems/access-not-gone');
    const kept = await eventually(() => findReport(world.deps.db, { processId, version: 1 }), 'a report');
    const text = (await readReport(world.deps.db, world.deps.keys, kept)) ?? '';
    await skipTo(world, workflow, (await timeIn(world, workflow)) + 100 * DAY_MS);
    await processOf(world, id, 'leaver', (row) => row.state === 'completed');
    const hold = { identityId: id, actor: 'legal', reason: 'a claim' };
    await setHold(door, hold);
    await eventually(
      async () => ((await problemOf(ask(id))) === '/problems/legal-hold' ? true : undefined),
      'the hold',
    );
    await liftHold(door, hold);
    const asked = await eventually(() => ask(id), 'the request');
    const erasureId = asked.erasureId ?? '';
    expect(await problemOf(confirmErasure(door, erasureId, caller('privacy')))).toBe('/problems/second-person-needed');
    expect(await confirmErasure(door, erasureId, caller('legal'))).toMatchObject({ state: 'done' });

    const { db, keys } = world.deps;
    expect(await readReport(db, keys, kept)).toBeUndefined();
    const { report } = await verifyReport(text, { keys: [world.signer.publicKey] });
    expect(report.processId).toBe(processId);
    const evidence = await db.selectFrom('evidence').selectAll().where('identity_id', '=', id).execute();
    expect(evidence.length).toBeGreaterThan(5);
    const seen = await Promise.all(evidence.map((row) => keys.decryptFor(db, id, 'evidence', row.seen)));
    expect(new Set(seen)).toEqual(new Set([undefined]));
    expect((await verifyAudit(db, id)).problems).toEqual([]);
    expect(await ask(id)).toEqual({ identityId: id, state: 'erased' });
    // Planted: a record of an erased person that somebody changed is still found.
    const tampered = openDatabase(world.database.admin, { max: 1 });
    await tampered
      .updateTable('audit')
      .set({ actor: 'nobody' })
      .where('identity_id', '=', id)
      .where('seq', '=', 3)
      .execute();
    await tampered.destroy();
    expect((await verifyAudit(db, id)).problems).toMatchObject([{ seq: 3, problem: 'changed' }]);
  });

  it('whoever comes back is a new identity, with another name: the old one stays blocked though nobody can read it', async () => {
    const id = await joined(world, 'back');
    await leaves(world, 'back', { manner: 'immediate', lastWorkingDay: day(0) });
    const { workflow_id: workflow } = await processOf(world, id, 'leaver', (row) => row.state === 'tail');
    await skipTo(world, workflow, (await timeIn(world, workflow)) + 100 * DAY_MS);
    await processOf(world, id, 'leaver', (row) => row.state === 'completed');
    const { erasureId } = await eventually(() => ask(id), 'the request');
    await confirmErasure(door, erasureId ?? '', caller('legal'));

    const again = hire(world, 'back', { eventId: 'back-again', employment: 'back-2' });
    const newId = identityOf(await world.hr(again));
    expect(newId).not.toBe(id);
    await processOf(world, newId, 'joiner', (row) => row.state === 'completed');
    const names = await world.deps.db.selectFrom('name_reservation').select(['identity_id', 'name']).execute();
    const of = (owner: IdentityId) => names.filter((row) => row.identity_id === owner).map((row) => row.name);
    expect(of(id).every((name) => name.startsWith('erased:'))).toBe(true);
    expect(of(newId)).not.toContain(`pback.test${world.tag}`);
    expect(of(newId)).toHaveLength(2);
  });
});
