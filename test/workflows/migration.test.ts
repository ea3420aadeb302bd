import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createShippedRegistry } from '../../src/connectors/kinds.js';
import type { ConnectorRegistry } from '../../src/connectors/registry.js';
import type { PolicyFiles } from '../../src/domain/policy/types.js';
import { brand } from '../../src/domain/process/ids.js';
import type { IdentityId, Instant, ZoneId } from '../../src/domain/process/ids.js';
import { localDateAt, startOfWorkDay } from '../../src/domain/time/instants.js';
import { publishPolicy } from '../../src/planning/policy-store.js';
import { loadPolicyFiles } from '../../src/policy/load.js';
import { ldapConfig } from '../connectors/ldap-harness.js';
import { openDoor } from '../support/world-api.js';
import { createWorld, day, eventually, hire, identityOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { reasonToSkipOpenLdap, startOpenLdap } from '../systems/openldap.js';
import type { OpenLdap } from '../systems/openldap.js';
import { changed, cut, joined } from './support/people.js';
import { atRest } from './support/rest.js';

const skipped = await reasonToSkipOpenLdap();
/** Four waves. */
const PEOPLE = 200;
const WAVE = PEOPLE / 4;
const LONG_MS = 400_000;

interface Wave {
  readonly wave: number;
  readonly size: number;
  readonly state: string;
  readonly [count: string]: unknown;
}
interface Person {
  readonly name: string;
  readonly id: IdentityId;
}

/** A registry whose `next` says of somebody's account that it was made, and makes nothing. */
class Liar {
  lies = 0;
  #about: string | undefined;

  liesAbout(identityId: IdentityId): void {
    this.#about = identityId;
  }

  readonly registry: ConnectorRegistry = (() => {
    const shipped = createShippedRegistry();
    return {
      ...shipped,
      create: (kind, application, config, deps) => {
        const inner = shipped.create(kind, application, config, deps);
        if (application !== 'next') return inner;
        return new Proxy(inner, {
          get: (target, name) => {
            const value = Reflect.get(target, name) as unknown;
            if (name !== 'create' || typeof value !== 'function')
              return typeof value === 'function' ? value.bind(target) : value;
            return async (...args: Parameters<NonNullable<typeof inner.create>>) => {
              const [spec, ctx] = args;
              if (spec.attributes['externalId'] !== this.#about) return inner.create?.(...args);
              this.lies += 1;
              await ctx.sentMarker?.();
              const ref = { application, objectClass: 'account' as const, nativeId: crypto.randomUUID() };
              return { outcome: 'applied' as const, ref, changed: [] };
            };
          },
        });
      },
    };
  })();
}

/** An acquired company's people move from their own directory to the buyer's, on two real servers; what is there is counted with the servers' own client. */
(skipped === undefined ? describe : describe.skip)(`an acquisition${skipped ?? ''}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'tenure-migration-'));
  const liar = new Liar();
  let old: OpenLdap;
  let next: OpenLdap;
  let world: World;
  let door: { readonly url: string; readonly token: string; readonly app: NestFastifyApplication };
  let migrationId = '';
  let waves: readonly (readonly Person[])[] = [];

  beforeAll(async () => {
    [old, next] = [await startOpenLdap(), await startOpenLdap()];
    await next.apply(
      `dn: cn=everyone,ou=groups,${next.suffix}\nchangetype: add\nobjectClass: groupOfNames\ncn: everyone\nmember: cn=nobody,${next.suffix}\n`,
    );
    world = await createWorld({ policy: (files) => policy(files, ['old']), registry: liar.registry });
    door = await openDoor(world);
  }, 120_000);
  afterAll(async () => {
    await door?.app.close();
    await world?.stop();
    await Promise.allSettled([old?.stop(), next?.stop()]);
    rmSync(folder, { recursive: true, force: true });
  });

  /** Both directories are in the policy; whom it gives accounts where is what the purchase changes. */
  function policy(sample: PolicyFiles, granted: readonly ('old' | 'next')[]): PolicyFiles {
    const application = (slug: 'old' | 'next', server: OpenLdap) => {
      const password = join(folder, slug);
      writeFileSync(password, server.service.password, { mode: 0o600 });
      const ldap = ldapConfig(server);
      return {
        slug,
        name: slug,
        connector: 'ldap',
        mode: 'sync',
        config: { ...ldap, bind: { ...ldap.bind, password: `file:${password}` } },
        login: 'account.userName',
        attributes: {
          externalId: 'person.id',
          displayName: 'person.displayName',
          familyName: 'person.familyName',
          mail: 'account.mail',
          department: 'person.department',
        },
        correlation: { strong: ['externalId'] },
        archive: 'archive',
        delete: 'delete',
        sweepTimeout: '5s',
        quarantine: { after: 5, pause: '1s', longestPause: '2s' },
      };
    };
    const groups = { old: 'staff', next: 'everyone' };
    const role = {
      slug: 'everybody',
      name: 'Everybody',
      when: 'employment.worker == "employee"',
      grants: granted.map((slug) => ({ application: slug, entitlement: groups[slug] })),
    };
    return [
      ...sample
        .filter(({ path }) => !/^(applications|roles)\//.test(path))
        .map((file) => ({ ...file, text: file.text.replace(/fourEyesAbove: \d+/, 'fourEyesAbove: 1000') })),
      { path: 'applications/old.yaml', text: JSON.stringify(application('old', old)) },
      { path: 'applications/next.yaml', text: JSON.stringify(application('next', next)) },
      { path: 'roles/everybody.yaml', text: JSON.stringify(role) },
    ];
  }

  async function ask<T = Record<string, unknown>>(path: string, body?: object): Promise<T> {
    const response = await fetch(`${door.url}/v1/migrations${path}`, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { authorization: `Bearer ${door.token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer = (await response.json()) as T;
    if (!response.ok) throw new Error(`${response.status} ${JSON.stringify(answer)}`);
    return answer;
  }
  const order = (wave: number, what: string, body: object = {}) => ask(`/${migrationId}/waves/${wave}/${what}`, body);
  async function wave(number: number): Promise<Wave> {
    const { waves: all } = await ask<{ waves: Wave[] }>(`/${migrationId}`);
    const found = all.find((one) => one.wave === number);
    if (found === undefined) throw new Error('no such wave');
    return found;
  }
  const reached = (number: number, counts: Readonly<Record<string, unknown>>, withinMs = 180_000) =>
    eventually(
      async () => {
        const found = await wave(number);
        if (Object.entries(counts).every(([name, value]) => found[name] === value)) return found;
        throw new Error(JSON.stringify(found));
      },
      `wave ${number} with ${JSON.stringify(counts)}`,
      withinMs,
    );

  /** What a directory holds of some people, by Tenure's key: everything, and in short. */
  async function entriesAt(server: OpenLdap, people: readonly Person[]) {
    const entries = await server.search(`ou=people,${server.suffix}`, '(employeeNumber=*)', '*', '+');
    const of = (id: string) => entries.filter(({ values }) => values['employeenumber']?.[0] === id);
    return new Map(people.map(({ id }) => [id, of(id)]));
  }
  async function standing(server: OpenLdap, people: readonly Person[]): Promise<Readonly<Record<string, number>>> {
    const counts: Record<string, number> = {};
    for (const found of (await entriesAt(server, people)).values()) {
      const entry = found[0];
      const state =
        found.length !== 1
          ? `${found.length} entries`
          : entry?.values['pwdaccountlockedtime'] === undefined
            ? 'open'
            : 'closed';
      counts[state] = (counts[state] ?? 0) + 1;
    }
    return counts;
  }
  /** All that a person or an application could see of them; not when somebody last wrote. */
  async function snapshot(server: OpenLdap, people: readonly Person[]): Promise<string> {
    const hidden = /^(entrycsn|modifytimestamp|modifiersname|contextcsn)$/;
    const plain = [...(await entriesAt(server, people))].map(([id, found]) => [
      id,
      found.map(({ dn, values }) => [
        dn,
        Object.entries(values)
          .filter(([name]) => !hidden.test(name))
          .sort(([a], [b]) => (a < b ? -1 : 1)),
      ]),
    ]);
    return JSON.stringify(plain, undefined, 1);
  }

  it(
    'plans 200 people in four waves, and nothing happens to them',
    async () => {
      const names = Array.from({ length: PEOPLE }, (_, index) => `p${index}`);
      // Half of the last wave is far in the east, the other half far in the west: there it is another day.
      const zones = ['Pacific/Kiritimati', 'Pacific/Niue'];
      const ids: IdentityId[] = [];
      for (let start = 0; start < names.length; start += 50)
        for (const result of await world.hr(
          ...names
            .slice(start, start + 50)
            .map((name, index) => hire(world, name, { startOn: day(-10), zone: zones[index % 2] })),
        ))
          ids.push(identityOf([result]));
      await atRest(world, ids, LONG_MS);
      const people = ids.map((id, index) => ({ id, name: names[index] ?? '' })).sort((a, b) => (a.id < b.id ? -1 : 1));
      expect(await standing(old, people)).toEqual({ open: PEOPLE });
      const sample = await loadPolicyFiles('policy');
      await publishPolicy(world.deps.db, policy(sample, ['old', 'next']), 'test');
      const plan = {
        from: 'old',
        to: 'next',
        expression: 'person.department == "Engineering"',
        waveSize: WAVE,
        failurePercent: 10,
        atOnce: 10,
        patienceSeconds: 20,
      };
      const before = await snapshot(old, people);
      expect(await ask('', { ...plan, dryRun: true })).toMatchObject({ state: 'nothing', size: PEOPLE });
      const answer = await ask('', plan);
      expect(answer).toMatchObject({ state: 'open', size: PEOPLE, leftOut: [] });
      migrationId = String(answer['migrationId']);
      waves = [0, 1, 2, 3].map((index) => people.slice(index * WAVE, (index + 1) * WAVE));
      // HR goes on meanwhile: where nobody has moved yet, nothing of the new directory is given.
      const stays = waves[3]?.[0];
      await world.hr(changed(stays?.name ?? '', 1, { attributes: { title: 'Engineer' } }));
      await atRest(
        world,
        people.map(({ id }) => id),
      );
      expect(await standing(next, people)).toEqual({ '0 entries': PEOPLE });
      expect(await snapshot(old, people)).toBe(before);
    },
    LONG_MS,
  );

  it(
    'gives a joiner after the plan the new directory only',
    async () => {
      const id = await joined(world, 'late');
      const late = [{ name: 'late', id }];
      expect([await standing(old, late), await standing(next, late)]).toEqual([{ '0 entries': 1 }, { open: 1 }]);
    },
    LONG_MS,
  );

  it(
    'puts both accounts side by side; HR reaches both, a leaver loses both, the others cut over',
    async () => {
      const people = waves[0] ?? [];
      const [mover, leaver, ...rest] = people;
      if (mover === undefined || leaver === undefined) throw new Error('nobody');
      const before = await snapshot(old, people);
      await order(1, 'start');
      await reached(1, { state: 'coexisting', coexisting: WAVE, failed: 0 });
      expect([await standing(old, people), await standing(next, people)]).toEqual([{ open: WAVE }, { open: WAVE }]);
      expect(await snapshot(old, people)).toBe(before);
      const [entry] = (await entriesAt(next, [mover])).get(mover.id) ?? [];
      expect(entry?.values['memberof']).toEqual([`cn=everyone,ou=groups,${next.suffix}`]);

      await world.hr(changed(mover.name, 1, { attributes: { department: 'Design' } }));
      await atRest(world, [mover.id]);
      for (const server of [old, next])
        expect((await entriesAt(server, [mover])).get(mover.id)?.[0]?.values['departmentnumber']).toEqual(['Design']);

      await cut(world, leaver.name);
      await reached(1, { left: 1, coexisting: WAVE - 1 });
      await eventually(async () => {
        const closed = [await standing(old, [leaver]), await standing(next, [leaver])];
        expect(closed).toEqual([{ closed: 1 }, { closed: 1 }]);
        return true;
      }, 'both accounts of the leaver closed');

      await order(1, 'cut-over');
      await reached(1, { state: 'done', retired: WAVE - 1, left: 1, failed: 0 });
      const moved = [mover, ...rest];
      expect([await standing(old, moved), await standing(next, moved)]).toEqual([
        { closed: WAVE - 1 },
        { open: WAVE - 1 },
      ]);
    },
    LONG_MS,
  );

  it(
    'halts when the new directory dies half-way, loses nobody, and goes on without a second account',
    async () => {
      const people = waves[1] ?? [];
      const before = await snapshot(old, people);
      await order(2, 'start');
      await eventually(
        async () => (Number((await wave(2))['coexisting']) >= 10 ? true : undefined),
        'the first ten',
        120_000,
      );
      await next.kill();
      const halted = await reached(2, { state: 'halted', underWay: 0 });
      expect(Number(halted['failed'])).toBeGreaterThan(WAVE / 10);
      expect(Number(halted['planned'])).toBeGreaterThan(0);
      expect(await snapshot(old, people)).toBe(before);
      await expect(order(2, 'cut-over')).rejects.toThrow('409');

      await next.restart();
      await order(2, 'start');
      await reached(2, { state: 'coexisting', coexisting: WAVE, failed: 0 });
      expect(await standing(next, people)).toEqual({ open: WAVE });
      expect(await snapshot(old, people)).toBe(before);
    },
    LONG_MS,
  );

  it(
    'rolls a wave back after its cut-over: the difference to what was before is empty',
    async () => {
      const people = waves[1] ?? [];
      const before = await snapshot(old, people);
      await order(2, 'cut-over');
      await reached(2, { state: 'done', retired: WAVE });
      expect(await standing(old, people)).toEqual({ closed: WAVE });
      await order(2, 'roll-back');
      await reached(2, { state: 'rolled-back', rolledBack: WAVE, differing: 0, failed: 0 });
      expect(await snapshot(old, people)).toBe(before);
      expect(await standing(next, people)).toEqual({ '0 entries': WAVE });
      const { items } = await ask<{ items: { differences: string[] }[] }>(`/${migrationId}/moves?wave=2&limit=200`);
      expect(items.flatMap((one) => one.differences)).toEqual([]);
    },
    LONG_MS,
  );

  it(
    'closes no old account on the word of a target that lies',
    async () => {
      const people = waves[2] ?? [];
      const [believed] = people;
      if (believed === undefined) throw new Error('nobody');
      liar.liesAbout(believed.id);
      await order(3, 'start');
      await reached(3, { coexisting: WAVE - 1, failed: 1 });
      await order(3, 'cut-over');
      await reached(3, { retired: WAVE - 1, failed: 1 });
      expect([await standing(old, [believed]), await standing(next, [believed])]).toEqual([
        { open: 1 },
        { '0 entries': 1 },
      ]);
      expect(liar.lies).toBeGreaterThan(0);
    },
    LONG_MS,
  );

  it(
    'does not cut over where the new entry has gone since',
    async () => {
      const people = waves[3] ?? [];
      const date = localDateAt(brand<Instant>(new Date().toISOString()), 'Pacific/Kiritimati' as ZoneId);
      await order(4, 'start');
      await reached(4, { state: 'coexisting', coexisting: WAVE });
      const zones = new Map<string, string>();
      for (const person of people) {
        const { items } = { items: await world.deps.people.at(world.deps.db, person.id, -1) };
        zones.set(person.id, items.stateAt(brand<Instant>(new Date().toISOString())).primary?.zone ?? '');
      }
      const east = people.filter(({ id }) => zones.get(id) === 'Pacific/Kiritimati');
      const west = people.filter(({ id }) => zones.get(id) === 'Pacific/Niue');
      const [gone, ...others] = east;
      if (gone === undefined || west.length === 0) throw new Error('nobody');
      const [entry] = (await entriesAt(next, [gone])).get(gone.id) ?? [];
      await next.apply(`dn: ${entry?.dn}\nchangetype: delete\n`);

      await order(4, 'cut-over', { on: date });
      await reached(4, { retired: others.length, failed: 1, coexisting: west.length });
      expect(await standing(old, [gone])).toEqual({ open: 1 });
      expect([await standing(old, others), await standing(old, west)]).toEqual([
        { closed: others.length },
        { open: west.length },
      ]);
      // West of the date line it is the same date's midnight, more than a day later.
      const due = await world.deps.db
        .selectFrom('identity')
        .select('next_due_at')
        .distinct()
        .where(
          'identity_id',
          'in',
          west.map(({ id }) => id),
        )
        .execute();
      expect(due).toEqual([{ next_due_at: startOfWorkDay(date, 'Pacific/Niue' as ZoneId) }]);
    },
    LONG_MS,
  );
});
