import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createApi } from '../../src/api/app.js';
import { ensureToken } from '../../src/api/http/tokens.js';
import { createPlanner } from '../../src/api/identities/planner.js';
import { createPreview } from '../../src/api/identities/plan-preview.js';
import { createMetrics } from '../../src/api/metrics.js';
import { runCli } from '../../src/cli/program.js';
import { loadConfig } from '../../src/config.js';
import { createShippedRegistry } from '../../src/connectors/kinds.js';
import type { PolicyFiles } from '../../src/domain/policy/types.js';
import { brand } from '../../src/domain/process/ids.js';
import type { ApplicationSlug, Instant, LocalDate } from '../../src/domain/process/ids.js';
import { scimCanaryLogin } from '../../src/embedded/targets/scim-store.js';
import { connectorChecks } from '../../src/policy/connector-checks.js';
import { messyCsv } from '../hr/messy-csv.js';
import { createWorld, eventually } from '../support/world.js';
import type { World } from '../support/world.js';

const MAPPING = fileURLToPath(new URL('../../policy/hr/sample.yaml', import.meta.url));

/** The sample policy without what a person does by hand: this test is about rows and states. */
function withoutBadge(files: PolicyFiles): PolicyFiles {
  return files
    .filter((file) => file.path !== 'applications/badge.yaml')
    .map((file) => ({ ...file, text: file.text.replaceAll('  - { application: badge }\n', '') }));
}

describe('a messy export of 300 rows, from the command to the targets', () => {
  const today = new Date().toISOString().slice(0, 10) as LocalDate;
  const file = messyCsv({ today, encoding: 'windows-1252' });
  const good = file.rows.flatMap((row) =>
    row.expected.outcome === 'good' ? [{ ...row, expected: row.expected }] : [],
  );
  const bad = file.rows.filter((row) => row.expected.outcome === 'rejected');
  let world: World;
  let home: string;
  let stop: () => Promise<void>;

  beforeAll(async () => {
    world = await createWorld({ policy: withoutBadge });
    const { db, keys, policies, logger } = world.deps;
    const registry = createShippedRegistry();
    const app = await createApi({
      db,
      keys,
      policies,
      logger,
      lifecycle: world.lifecycle,
      dispatcher: world.dispatcher,
      metrics: createMetrics(),
      planner: createPlanner({ db, keys, policies, preview: createPreview({ db, keys, policies, registry }) }),
      connectorChecks: connectorChecks(registry),
      registry: createShippedRegistry(),
      now: () => brand<Instant>(new Date().toISOString()),
    });
    const token = 'messy-import-token-of-a-test';
    await ensureToken(db, { name: 'test', role: 'admin', token });
    await app.listen({ port: 0, host: '127.0.0.1' });
    home = mkdtempSync(join(tmpdir(), 'tenure-messy-'));
    writeFileSync(join(home, 'run.json'), JSON.stringify({ api: await app.getUrl(), token }));
    writeFileSync(join(home, 'people.csv'), file.bytes);
    stop = () => app.close();
  });
  afterAll(async () => {
    await stop?.();
    await world?.stop();
    rmSync(home, { recursive: true, force: true });
  });

  const enabledPeople = async () =>
    (await world.directory.store.users()).filter((user) => user.active && user.userName !== scimCanaryLogin);
  const busyProcesses = async (): Promise<number> => {
    const rows = await world.deps.db
      .selectFrom('process')
      .select('process_id')
      .where('state', '=', 'running')
      .where('blocked_on', 'is', null)
      .execute();
    return rows.length;
  };
  const importFile = async (): Promise<{
    counts: Record<string, number>;
    rows: { row: number; outcome: string }[];
  }> => {
    const out: string[] = [];
    await runCli(['hr', 'import', join(home, 'people.csv'), '--mapping', MAPPING, '--json'], {
      config: () => loadConfig({ TENURE_HOME: home }, process.cwd()),
      terminal: { out: (text) => void out.push(text), err: () => undefined, isInteractive: false },
    });
    return JSON.parse(out.join('\n')) as { counts: Record<string, number>; rows: { row: number; outcome: string }[] };
  };

  it('lists every bad row and brings every good one into the right state', async () => {
    const report = await importFile();
    const outcomeOf = new Map(report.rows.map((row) => [row.row, row.outcome]));
    expect(bad.filter((row) => outcomeOf.get(row.row) !== 'rejected')).toEqual([]);
    expect(good.filter((row) => outcomeOf.get(row.row) !== 'accepted')).toEqual([]);

    const active = good.filter((row) => row.expected.lifecycle === 'active');
    await eventually(
      async () => {
        const enabled = (await enabledPeople()).length;
        if (enabled === active.length && (await busyProcesses()) === 0) return true;
        throw new Error(`${enabled} enabled, ${await busyProcesses()} processes busy`);
      },
      `${active.length} people enabled at the directory`,
      240_000,
    );
    const rows = await world.deps.db
      .selectFrom('identity_profile')
      .innerJoin('account', 'account.identity_id', 'identity_profile.identity_id')
      .select(['identity_profile.lifecycle', 'account.status', 'account.application'])
      .where('account.application', '=', brand<ApplicationSlug>('directory'))
      .execute();
    expect(rows.filter((row) => row.lifecycle === 'active' && row.status !== 'enabled')).toEqual([]);
    expect(rows.filter((row) => row.lifecycle === 'left' && row.status === 'enabled')).toEqual([]);
  }, 300_000);

  it('changes nothing when the same file comes again', async () => {
    const before = (await world.directory.store.effects({})).length;
    const report = await importFile();
    expect(report.counts['accepted']).toBe(0);
    expect((await world.directory.store.effects({})).length).toBe(before);
  }, 120_000);
});
