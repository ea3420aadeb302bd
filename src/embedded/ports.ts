import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../config.js';
import { readJson, writeJson } from './home.js';
import { freePort, requireFreePort } from './processes.js';

const variables = {
  api: 'TENURE_PORT',
  postgres: 'TENURE_POSTGRES_PORT',
  temporal: 'TENURE_TEMPORAL_PORT',
  temporalUi: 'TENURE_TEMPORAL_UI_PORT',
  scim: 'TENURE_TARGETS_SCIM_PORT',
  wiki: 'TENURE_TARGETS_WIKI_PORT',
  directory: 'TENURE_PORT',
  sso: 'TENURE_PORT',
  payroll: 'TENURE_PORT',
} as const;
const names = ['api', 'postgres', 'temporal', 'temporalUi', 'scim', 'wiki', 'directory', 'sso', 'payroll'] as const;
type PortName = (typeof names)[number];
export type Ports = Readonly<Record<PortName, number>>;

/**
 * The ports of this run. A configured one must be free; for 0 the one of the last run is taken again, so that
 * addresses stay what they were, or any free one. What was chosen is kept in ports.json.
 * @throws StackError naming the taken port and the variable that moves it.
 */
export async function choosePorts(config: Config): Promise<Ports> {
  const file = join(config.home, 'ports.json');
  const last = (await readJson(file, z.partialRecord(z.enum(names), z.number()))) ?? {};
  const configured: Ports = {
    api: config.api.port,
    postgres: config.database.embeddedPort,
    temporal: config.temporal.embedded.port,
    temporalUi: config.temporal.embedded.uiPort,
    scim: config.sandbox.scimPort,
    wiki: config.sandbox.wikiPort,
    // Any free one, the same again at the next start.
    ...{ directory: 0, sso: 0, payroll: 0 },
  };
  const unused: Partial<Record<PortName, boolean>> = {
    postgres: config.database.mode === 'brought',
    temporal: config.temporal.mode === 'brought',
    temporalUi: config.temporal.mode === 'brought',
  };
  const chosen: Record<PortName, number> = { ...configured };
  for (const name of names) {
    if (unused[name] === true) continue;
    if (configured[name] === 0) chosen[name] = await lastOrFree(last[name]);
    else await requireFreePort(configured[name], variables[name], name === 'api' ? config.api.host : undefined);
  }
  await writeJson(file, chosen);
  return chosen;
}

async function lastOrFree(last: number | undefined): Promise<number> {
  if (last === undefined || last === 0) return freePort();
  return requireFreePort(last, 'TENURE_PORT').then(
    () => last,
    () => freePort(),
  );
}
