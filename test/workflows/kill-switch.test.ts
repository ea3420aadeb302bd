import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ensureToken } from '../../src/api/http/tokens.js';
import { publicKeysSchema, verifyReport } from '../../src/report/signature.js';
import { openDoor } from '../support/world-api.js';
import { createWorld, eventually } from '../support/world.js';
import type { World } from '../support/world.js';
import { stillOpen } from './support/at-targets.js';
import { startFaultyProxy } from './support/faulty-proxy.js';
import type { FaultyProxy } from './support/faulty-proxy.js';
import { joined, replaced, tasksOf, withoutBadge } from './support/people.js';

const SECOND = 'second_principal_0123456789abcdef';

describe('the kill switch on the full stack', () => {
  let world: World;
  let proxy: FaultyProxy;
  let door: Awaited<ReturnType<typeof openDoor>>;

  beforeAll(async () => {
    proxy = await startFaultyProxy();
    world = await createWorld({
      policy: (files) =>
        withoutBadge(
          replaced(
            replaced(files, 'directory.yaml', ['env:TENURE_SANDBOX_SCIM_URL', `${proxy.url}/scim/v2`]),
            'erp.yaml',
            ['dependsOn: [directory]\n', ''],
          ),
        ),
    });
    proxy.forwardTo(new URL(world.directory.scimUrl).origin);
    door = await openDoor(world);
    await ensureToken(world.deps.db, { name: 'second', role: 'operator', token: SECOND });
  }, 180_000);
  afterAll(async () => {
    await door?.app.close();
    await world?.stop();
    await proxy?.stop();
  });

  const call = (method: string, path: string, body?: object, token = door.token) =>
    fetch(door.url + path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const events = async (id: string) => (await call('GET', `/v1/identities/${id}/cut/progress`)).text();

  it('six people: proposed by one, confirmed by another, and shut everywhere at the targets', async () => {
    const names = ['k1', 'k2', 'k3', 'k4', 'k5', 'k6'];
    const ids = await Promise.all(names.map((name) => joined(world, name)));
    const people = ids.map((identityId, index) => ({ identityId, loginStart: `p${names[index] ?? ''}.` }));
    const proposed = await call('POST', '/v1/cuts', { people: ids, reason: 'the company was sold' });
    const { cutId, state } = (await proposed.json()) as { cutId: string; state: string };
    expect(state).toBe('proposed');
    // Planted: the same principal twice. Nothing has happened to anybody.
    expect((await call('POST', `/v1/cuts/${cutId}/confirmation`, {})).status).toBe(403);
    expect(await stillOpen(world, people)).not.toEqual([]);
    expect((await call('POST', `/v1/cuts/${cutId}/confirmation`, {}, SECOND)).status).toBe(202);
    const streams = await Promise.all(ids.map(events));
    for (const text of streams) expect(text).toMatch(/event: end\n/);
    expect(await stillOpen(world, people)).toEqual([]);
    const last = JSON.parse(/event: end\nid: .*\ndata: (.*)/.exec(streams[0] ?? '')?.[1] ?? '{}') as {
      report: string;
      tier1ProvenAt: string | null;
      applications: { state: string }[];
    };
    expect(last.tier1ProvenAt).not.toBeNull();
    expect(new Set(last.applications.map((one) => one.state))).toEqual(new Set(['proven']));
    const keys = publicKeysSchema.parse(await (await call('GET', '/v1/keys')).json());
    const { report } = await verifyReport(await (await call('GET', last.report)).text(), keys);
    expect(report.person.identityId).toBe(ids[0]);
  }, 120_000);

  it('a target that is down is asked of a person within a minute while it is tried on, and the question goes with the proof', async () => {
    const id = await joined(world, 'dead', { attributes: { department: 'Sales' } });
    world.directory.behave({ refuse: { status: 503 } });
    const since = Date.now();
    expect((await call('POST', `/v1/identities/${id}/cut`, {})).status).toBe(202);
    const [task] = await eventually(
      async () => {
        const tasks = await tasksOf(world, id);
        return tasks.length > 0 ? tasks : undefined;
      },
      'a question to a person',
      60_000,
    );
    expect(Date.now() - since).toBeLessThan(60_000);
    expect(task).toMatchObject({ application: 'directory', kind: 'visit' });
    const reader = (await call('GET', `/v1/identities/${id}/cut/progress`)).body?.getReader();
    let text = '';
    while (!text.includes('"data:') && !/data: .*"directory","state":"open"/.test(text))
      text += new TextDecoder().decode((await reader?.read())?.value);
    expect(text).toMatch(/"application":"erp","state":"proven"/);
    await reader?.cancel();
    world.directory.behave({});
    expect(await events(id)).toMatch(/event: end\n/);
    expect(await tasksOf(world, id)).toEqual([]);
    expect(await stillOpen(world, [{ identityId: id, loginStart: 'pdead.' }])).toEqual([]);
  }, 180_000);
});
