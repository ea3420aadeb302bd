import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { randomBytes } from 'node:crypto';
import { pino } from 'pino';
import { createApi } from '../../src/api/app.js';
import { ensureToken } from '../../src/api/http/tokens.js';
import { createPreview } from '../../src/api/identities/plan-preview.js';
import { createPlanner } from '../../src/api/identities/planner.js';
import { createMetrics } from '../../src/api/metrics.js';
import { createShippedRegistry } from '../../src/connectors/kinds.js';
import { brand } from '../../src/domain/process/ids.js';
import type { Instant } from '../../src/domain/process/ids.js';
import { connectorChecks } from '../../src/policy/connector-checks.js';
import type { World } from './world.js';

/** A world's HTTP door, listening, with a token of the role operator. */
export async function openDoor(
  world: World,
): Promise<{ readonly url: string; readonly token: string; readonly app: NestFastifyApplication }> {
  const { db, keys, policies } = world.deps;
  const registry = createShippedRegistry();
  const token = `operator_${randomBytes(20).toString('hex')}`;
  await ensureToken(db, { name: 'operator', role: 'operator', token });
  const app = await createApi({
    db,
    keys,
    policies,
    logger: pino({ level: 'silent' }),
    lifecycle: world.lifecycle,
    dispatcher: world.dispatcher,
    metrics: createMetrics(),
    planner: createPlanner({ db, keys, policies, preview: createPreview({ db, keys, policies, registry }) }),
    connectorChecks: connectorChecks(registry),
    registry,
    reportSigner: world.signer,
    now: () => brand<Instant>(new Date().toISOString()),
  });
  await app.listen({ port: 0, host: '127.0.0.1' });
  return { url: (await app.getUrl()).replace('[::1]', '127.0.0.1'), token, app };
}
