import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { createWorld, day, eventually, hire, identityOf } from '../support/world.js';
import type { World } from '../support/world.js';
import { readTargets, stillOpen } from './support/at-targets.js';
import type { CutPerson } from './support/at-targets.js';
import { startFaultyProxy } from './support/faulty-proxy.js';
import type { FaultyProxy, PersonFault } from './support/faulty-proxy.js';
import { atRest, underWay } from './support/rest.js';
import { Seeded, chosenSeed } from './support/seeded.js';

const PEOPLE = 42;
/** As many meet their cut at once. */
const WAVE = 14;
const SCENARIOS = ['joiner', 'mover', 'rehire'] as const;
type Scenario = (typeof SCENARIOS)[number];

interface Interleaving {
  readonly person: string;
  readonly scenario: Scenario;
  readonly fault: PersonFault | undefined;
  /** The cut comes when the running process has asked the directory this often, plus a moment: by progress, not by the clock of a busy machine. */
  readonly cutAfterRequests: number;
  readonly cutAfterMs: number;
  /** From the cut to the end of the fault. */
  readonly releaseAfterMs: number;
}

/** Everything about one person's case, drawn from the seed alone. */
function draw(chance: Seeded, index: number): Interleaving {
  const faults: readonly (() => PersonFault | undefined)[] = [
    () => undefined,
    () => undefined,
    () => ({ kind: 'slow-writes', ms: chance.between(100, 1_500) }),
    () => ({ kind: 'slow-writes', ms: chance.between(100, 1_500) }),
    () => ({ kind: 'slow-reads', ms: chance.between(100, 700) }),
    () => ({ kind: 'hang-writes', nth: chance.between(0, 4) }),
    () => ({ kind: 'hang-writes', nth: chance.between(0, 4) }),
    () => ({ kind: 'lose-answers', nth: chance.between(0, 4), count: chance.between(1, 3) }),
    () => ({ kind: 'lose-answers', nth: chance.between(0, 4), count: chance.between(1, 3) }),
    () => ({ kind: 'refuse' }),
  ];
  return {
    person: `c${String(index).padStart(2, '0')}`,
    scenario: SCENARIOS[index % SCENARIOS.length] ?? 'joiner',
    fault: chance.pick(faults)(),
    cutAfterRequests: chance.between(0, 24),
    cutAfterMs: chance.between(0, 200),
    releaseAfterMs: chance.between(500, 4_000),
  };
}

describe('a cut that meets a running process', () => {
  const seed = chosenSeed();
  const chance = new Seeded(seed);
  let world: World;
  let proxy: FaultyProxy;
  const cutPeople: CutPerson[] = [];

  beforeAll(async () => {
    proxy = await startFaultyProxy();
    world = await createWorld({
      // Nothing of what is shown here may depend on others making room for a cut.
      longestRestMs: 0,
      policy: (files) =>
        files.map((file) => ({
          ...file,
          text: file.path.endsWith('directory.yaml')
            ? file.text
                .replace('env:TENURE_SANDBOX_SCIM_URL', `${proxy.url}/scim/v2`)
                // Faults are drawn for persons here: none of them says anything of the target.
                .replace('sweepTimeout: 5s', 'sweepTimeout: 2s\nquarantine: { after: 1000 }')
                .replace('settle: 2s', 'settle: 1s')
            : // A person's hands are of no interest here.
              // A write that lands this late is still found before the leaver's tail; later ones are looked for in it.
              file.text.replace('  - { application: badge }\n', '').replace('recutSettle: 2s', 'recutSettle: 5s'),
        })),
    });
    proxy.forwardTo(world.directory.url);
  });
  afterAll(async () => {
    await world?.stop();
    await proxy?.stop();
  });

  const end = (person: string, employment: string, fields: Record<string, unknown> = {}) => ({
    source: 'hr',
    eventId: `${employment}-end`,
    person,
    employment,
    kind: 'end',
    lastWorkingDay: day(0),
    at: new Date().toISOString(),
    manner: 'immediate',
    ...fields,
  });

  /** Brings someone to where the scenario begins. */
  async function prepare(person: string, scenario: Scenario): Promise<IdentityId | undefined> {
    proxy.fault(loginStart(person), { kind: 'slow-writes', ms: 0 });
    if (scenario === 'joiner') return undefined;
    const id = identityOf(await world.hr(hire(world, person, { startOn: day(-20) })));
    if (scenario === 'rehire') {
      await atRest(world, [id]);
      await world.hr(end(person, `${person}-1`, { lastWorkingDay: day(-5), at: `${day(-5)}T12:00:00.000Z` }));
    }
    return id;
  }

  /** The change whose process the cut will meet; returns the employment to end. */
  async function begin(person: string, scenario: Scenario): Promise<{ id: IdentityId; employment: string }> {
    const sales = { attributes: { department: 'Sales' } };
    switch (scenario) {
      case 'joiner':
        return { id: identityOf(await world.hr(hire(world, person, sales))), employment: `${person}-1` };
      case 'rehire': {
        const again = { ...sales, eventId: `${person}-again`, employment: `${person}-2`, startOn: day(-1) };
        return { id: identityOf(await world.hr(hire(world, person, again))), employment: `${person}-2` };
      }
      case 'mover': {
        const results = await world.hr({
          source: 'hr',
          eventId: `${person}-move`,
          person,
          employment: `${person}-1`,
          kind: 'change',
          effectiveOn: day(-1),
          ...sales,
        });
        return { id: identityOf(results), employment: `${person}-1` };
      }
    }
  }

  function loginStart(person: string): string {
    return `p${person}.`;
  }

  async function meet(one: Interleaving): Promise<CutPerson> {
    const start = loginStart(one.person);
    proxy.fault(start, one.fault ?? { kind: 'slow-writes', ms: 0 });
    const { id, employment } = await begin(one.person, one.scenario);
    await proxy.asked(start, one.cutAfterRequests, 700);
    await delay(one.cutAfterMs);
    const [result] = await world.hr(end(one.person, employment));
    expect(result).toMatchObject({ status: 'accepted' });
    await delay(one.releaseAfterMs);
    await proxy.release(start);
    return { identityId: id, loginStart: start };
  }

  /** The ERP's own trouble: for a while its tables can be read, and writes hang. */
  async function hangErp(forMs: number): Promise<void> {
    const client = new pg.Client({ connectionString: world.erp.ownerUrl });
    await client.connect();
    await client.query('begin; lock table erp.accounts in exclusive mode');
    await delay(forMs);
    await client.query('commit');
    await client.end();
  }

  it(`leaves nothing enabled, in ${PEOPLE} random interleavings (TENURE_TEST_SEED=${seed})`, async () => {
    const cases = Array.from({ length: PEOPLE }, (_, index) => draw(chance, index));
    const prepared = await Promise.all(cases.map((one) => prepare(one.person, one.scenario)));
    await atRest(
      world,
      prepared.filter((id) => id !== undefined),
    );
    const troubles = (async () => {
      await delay(chance.between(500, 2_500));
      await hangErp(chance.between(500, 2_500));
    })();
    for (let from = 0; from < cases.length; from += WAVE)
      cutPeople.push(...(await Promise.all(cases.slice(from, from + WAVE).map(meet))));
    await troubles;
    await atRest(
      world,
      cutPeople.map((one) => one.identityId),
    );
    const open = await stillOpen(world, cutPeople);
    expect(open).toEqual([]);
    const targets = await readTargets(world);
    // The oracle had something to look at, and the faults were felt.
    expect(targets.directory.filter((user) => user.userName.startsWith('pc')).length).toBeGreaterThan(PEOPLE / 2);
    expect(targets.erp.filter((account) => account.login.startsWith('pc')).length).toBeGreaterThan(0);
    expect(Object.keys(proxy.felt()).sort()).toEqual(
      expect.arrayContaining(['hang-writes', 'lose-answers', 'refuse', 'slow-writes']),
    );
  }, 180_000);

  it('is caught leaving access open when the generation fence does not hold', async () => {
    await asSuperuser(`
      create function no_new_generation() returns trigger language plpgsql as
        $$ begin new.generation := old.generation; return new; end $$;
      create trigger no_new_generation before update on identity for each row execute function no_new_generation()`);
    const cases = Array.from({ length: 6 }, (_, index): Interleaving => ({
      person: `x${index}`,
      scenario: 'joiner',
      fault: { kind: 'slow-reads', ms: 250 },
      cutAfterRequests: 3 + index,
      cutAfterMs: 0,
      releaseAfterMs: 6_000,
    }));
    const met = await Promise.all(cases.map(meet));
    const people = met.map((one) => one.identityId);
    // Tenure's own proof may notice and ask a person; what counts here is what the targets say.
    await eventually(async () => {
      const words = await underWay(world, people);
      const running = words.filter((text) => !text.includes('task') && !text.includes('in flight'));
      if (running.length > 0) throw new Error(running.join('; '));
      return true;
    }, 'an end of all processes but for questions to a person');
    expect((await stillOpen(world, met)).join('\n')).toMatch(/is active|is enabled|may log in/);
  }, 120_000);

  async function asSuperuser(statement: string): Promise<void> {
    const client = new pg.Client({ connectionString: world.database.admin });
    await client.connect();
    await client.query(statement);
    await client.end();
  }
});
