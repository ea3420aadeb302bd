import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { createWorld, day, eventually, hire, identityOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { leaves, withoutHands } from './people.js';
import { MINUTE_MS, afterMidnight, processOf, skipTo, wakeLater } from './skipping.js';

describe('a contract that ends, in skipped time on the real server', () => {
  let world: World;
  /** They mostly wait for the server's next skip, so they run side by side. */
  let stories: readonly Promise<void>[] = [];

  beforeAll(async () => {
    world = await createWorld({ policy: withoutHands });
    stories = [warnedThrice(), extended(), sponsorLeft()];
    for (const story of stories) story.catch(() => undefined);
  });
  afterAll(() => world?.stop());

  /** Somebody whose joiner is through. */
  async function engaged(person: string, change: Record<string, unknown>): Promise<IdentityId> {
    const id = identityOf(await world.hr(hire(world, person, change)));
    await processOf(world, id, 'joiner', (row) => row.state === 'completed');
    return id;
  }
  const contractor = (person: string, endOn: string, manager: string) =>
    engaged(person, { worker: 'contractor', endOn, manager });
  /** Access ends when the contract's last day is over: so many days before that instant. */
  const before = (endOn: number, days: number): number => afterMidnight(day(endOn + 1 - days));

  async function wakeOn(id: IdentityId, days: number): Promise<void> {
    await eventually(
      async () => {
        const row = await world.deps.db
          .selectFrom('identity')
          .select('next_due_at')
          .where('identity_id', '=', id)
          .executeTakeFirstOrThrow();
        if (row.next_due_at?.startsWith(day(days)) === true) return true;
        throw new Error(String(row.next_due_at));
      },
      `next due on ${day(days)}`,
      15_000,
    );
    await eventually(
      () => wakeLater(world, id, afterMidnight(day(days)) - Date.now()),
      'a queue that has nothing to do and may be started',
      15_000,
    );
  }
  const noticesOf = (id: IdentityId) =>
    world.deps.db
      .selectFrom('notice')
      .select(['recipient_identity_id', 'state'])
      .where('identity_id', '=', id)
      .where('kind', '=', 'contract-end')
      .orderBy('created_at')
      .execute();
  const warned = (id: IdentityId, times: number) =>
    eventually(
      async () => {
        const rows = await noticesOf(id);
        if (rows.length === times) return rows;
        throw new Error(`${rows.length} warnings`);
      },
      `${times} warnings`,
      15_000,
    );
  /** The warnings' own instants and what they say, from the audit chain. */
  async function saidOf(id: IdentityId) {
    const rows = await world.deps.db
      .selectFrom('audit')
      .select(['at', 'body'])
      .where('identity_id', '=', id)
      .where('action', '=', 'contract-end.warned')
      .orderBy('seq')
      .execute();
    return Promise.all(
      rows.map(async (row) => {
        const body = (await world.deps.keys.decryptFor(world.deps.db, id, 'audit', row.body)) as {
          readonly days: number;
        };
        return { days: body.days, at: Date.parse(row.at) };
      }),
    );
  }
  const isActive = async (person: string) =>
    (await world.directory.store.users({ userName: `p${person}.test${world.tag}` }))[0]?.active;

  async function warnedThrice(): Promise<void> {
    const boss = await engaged('boss', {});
    const id = await contractor('temp', day(50), 'boss');
    await wakeOn(id, 21);
    const { workflow_id: leaver } = await processOf(world, id, 'leaver', (row) => row.blocked_on === 'date');
    await warned(id, 1);
    for (const [index, days] of [14, 3].entries()) {
      await skipTo(world, leaver, before(50, days) - 60 * MINUTE_MS);
      expect(await noticesOf(id)).toHaveLength(index + 1);
      await skipTo(world, leaver, before(50, days));
      await warned(id, index + 2);
    }
    expect((await noticesOf(id)).map((row) => row.recipient_identity_id)).toEqual([boss, boss, boss]);
    const said = await saidOf(id);
    expect(said.map((one) => one.days)).toEqual([30, 14, 3]);
    for (const one of said) expect(Math.abs(one.at - before(50, one.days))).toBeLessThan(5 * MINUTE_MS);
    // A warning takes nothing away.
    expect(await isActive('temp')).toBe(true);
    await skipTo(world, leaver, before(50, 0));
    await processOf(world, id, 'leaver', (row) => row.state === 'tail');
    expect(await isActive('temp')).toBe(false);
    expect(await noticesOf(id)).toHaveLength(3);
  }

  async function extended(): Promise<void> {
    await engaged('lead', {});
    const id = await contractor('more', day(45), 'lead');
    await wakeOn(id, 16);
    const { workflow_id: leaver } = await processOf(world, id, 'leaver', (row) => row.blocked_on === 'date');
    await warned(id, 1);
    await world.hr({
      source: 'hr',
      eventId: 'more-extension',
      person: 'more',
      employment: 'more-1',
      kind: 'change',
      effectiveOn: day(0),
      endOn: day(200),
    });
    await processOf(world, id, 'leaver', (row) => row.due_at?.startsWith(day(171)) === true);
    // The dates of the former end pass, and so does that end.
    await skipTo(world, leaver, before(45, -5));
    expect(await noticesOf(id)).toHaveLength(1);
    expect(await isActive('more')).toBe(true);
    await skipTo(world, leaver, before(200, 30));
    await warned(id, 2);
    expect((await saidOf(id)).map((one) => one.days)).toEqual([30, 30]);
  }

  async function sponsorLeft(): Promise<void> {
    const head = await engaged('head', {});
    await engaged('gone', { manager: 'head' });
    await leaves(world, 'gone', { manner: 'voluntary', lastWorkingDay: day(5) });
    const id = await contractor('left', day(40), 'gone');
    await wakeOn(id, 11);
    await processOf(world, id, 'leaver', (row) => row.blocked_on === 'date');
    expect((await warned(id, 1)).map((row) => row.recipient_identity_id)).toEqual([head]);

    // Nobody at all up the line: an operator is asked, and nothing waits for the answer.
    const alone = await contractor('alone', day(38), 'nobody');
    await wakeOn(alone, 9);
    await processOf(world, alone, 'leaver', (row) => row.blocked_on === 'date');
    expect(await warned(alone, 1)).toMatchObject([{ recipient_identity_id: null, state: 'no-recipient' }]);
    const tasks = await eventually(async () => {
      const rows = await world.deps.db
        .selectFrom('operator_task')
        .select(['kind', 'code'])
        .where('identity_id', '=', alone)
        .execute();
      return rows.length > 0 ? rows : undefined;
    }, 'a task');
    expect(tasks).toEqual([{ kind: 'contract-end', code: 'nobody-told' }]);
  }

  it('is told to the sponsor 30, 14 and 3 days before, and then cut', () => stories[0]);

  it('and is extended is told of for the new end alone', () => stories[1]);

  it('is told to the next in line when the sponsor has left, and never to nobody', () => stories[2]);
});
