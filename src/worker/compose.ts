import type { Logger } from 'pino';
import type { ActivityDeps } from '../activities/deps.js';
import { createConnectorPool } from '../activities/connector-pool.js';
import type { ConnectorRegistry } from '../connectors/registry.js';
import { createSecretResolver } from '../connectors/secret.js';
import { openDatabase } from '../db/database.js';
import { KeyRing } from '../db/keys.js';
import { People } from '../planning/people.js';
import { PolicyStore } from '../planning/policy-store.js';

export interface Composition {
  readonly databaseUrl: string;
  /** 32 bytes in base64. */
  readonly masterKey: string;
  readonly registry: ConnectorRegistry;
  /** Where `env:` references are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly logger: Logger;
  readonly sites?: readonly string[];
}

/** Builds what activities need; `close` gives back pools and connectors. Nothing is connected before first use. */
export function composeDeps(composition: Composition): ActivityDeps & { close(): Promise<void> } {
  const db = openDatabase(composition.databaseUrl, { name: 'tenure-worker', max: 20 });
  const connectors = createConnectorPool(composition.registry, {
    secrets: createSecretResolver(composition.env),
    logger: composition.logger,
  });
  const keys = new KeyRing(composition.masterKey);
  return {
    db,
    keys,
    people: new People(keys),
    policies: new PolicyStore(),
    connectors,
    logger: composition.logger,
    canaryAnswers: new Map(),
    sites: new Set(composition.sites),
    async close() {
      await connectors.close();
      await db.destroy();
    },
  };
}
