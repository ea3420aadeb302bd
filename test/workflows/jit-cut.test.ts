import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createWorld, day, hire, identityOf, settled } from '../support/world.js';
import type { World } from '../support/world.js';

describe('an account that the first sign-in made without us', () => {
  let world: World;

  beforeAll(async () => {
    world = await createWorld();
  });
  afterAll(() => world?.stop());

  it('is found at the cut and cut like the others', async () => {
    const id = identityOf(await world.hr(hire(world, 'j', { startOn: day(-10) })));
    await settled(world, id, (rows) => rows.some((row) => row.state === 'completed'));
    const { userName } = await world.deps.db
      .selectFrom('name_reservation')
      .select('name as userName')
      .where('identity_id', '=', id)
      .where('scope', '=', 'user-name')
      .executeTakeFirstOrThrow();
    const mail = `${userName}@example.com`;
    const before = await world.wiki.store.users();
    const made = await fetch(`${world.wiki.scimUrl}/Users`, {
      method: 'POST',
      headers: { authorization: `Bearer ${world.scimToken}`, 'content-type': 'application/scim+json' },
      body: JSON.stringify({
        schemas: ['urn:ietf:params:scim:schemas:core:2.0:User'],
        userName: mail,
        active: true,
        externalId: id,
      }),
    });
    expect(made.status).toBe(201);
    expect(await world.wiki.store.users()).toHaveLength(before.length + 1);

    await world.hr({
      source: 'hr',
      eventId: 'j-end',
      person: 'j',
      employment: 'j-1',
      kind: 'end',
      lastWorkingDay: day(-1),
      at: new Date().toISOString(),
      manner: 'immediate',
    });
    await settled(world, id, (rows) => rows.some((row) => row.kind === 'leaver' && row.state === 'tail'));
    const user = (await world.wiki.store.users()).find((one) => one.userName === mail);
    expect(user).toMatchObject({ active: false });
    const evidence = await world.deps.db
      .selectFrom('evidence')
      .select(['verdict', 'check_kind'])
      .where('identity_id', '=', id)
      .where('phase', '=', 'cut')
      .where('operation_key', 'like', 'wiki/%')
      .execute();
    expect(evidence.find((row) => row.check_kind === 'sign-in')).toMatchObject({ verdict: 'proven' });
  });
});
