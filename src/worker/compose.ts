import type { Logger } from 'pino';
import type { ActivityDeps } from '../activities/deps.js';
import { CutsFirst } from '../activities/lib/cuts-first.js';
import { VisitRows } from '../activities/visit/rows.js';
import { VisitWrites } from '../activities/visit/writes.js';
import { createConnectorPool } from '../activities/connector-pool.js';
import type { ConnectorRegistry } from '../connectors/registry.js';
import { createSecretStore } from '../connectors/secret-store.js';
import type { VaultLogin } from '../connectors/secret-store.js';
import { openDatabase } from '../db/database.js';
import { KeyRing } from '../db/keys.js';
import { People } from '../planning/people.js';
import { PolicyStore } from '../planning/policy-store.js';
import type { ReportSigner } from '../report/signature.js';

export interface Composition {
  readonly databaseUrl: string;
  /** 32 bytes in base64. */
  readonly masterKey: string;
  readonly registry: ConnectorRegistry;
  /** Where `env:` references are looked up. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where `vault:` references are read; undefined: they cannot be used. */
  readonly vault?: VaultLogin | undefined;
  readonly logger: Logger;
  readonly sites?: readonly string[];
  readonly reportSigner?: ReportSigner | undefined;
  readonly isMailConfigured?: boolean;
  /** How long visits rest for somebody else's cut at a time; 0: not at all. */
  readonly longestRestMs?: number;
}

/** Builds what activities need; `close` gives back pools and connectors. Nothing is connected before first use. */
export function composeDeps(composition: Composition): ActivityDeps & { close(): Promise<void> } {
  const db = openDatabase(composition.databaseUrl, { name: 'tenure-worker', max: 20 });
  const { registry, env, vault, logger } = composition;
  const secrets = createSecretStore({ env, vault, logger });
  const connectors = createConnectorPool({ registry, secrets, logger });
  const keys = new KeyRing(composition.masterKey);
  return {
    db,
    keys,
    people: new People(keys),
    policies: new PolicyStore(),
    connectors,
    logger,
    canaryAnswers: new Map(),
    visitRows: new VisitRows(db),
    visitWrites: new VisitWrites(db),
    cutsFirst: new CutsFirst(composition.longestRestMs),
    sites: new Set(composition.sites),
    ...(composition.reportSigner === undefined ? {} : { reportSigner: composition.reportSigner }),
    isMailConfigured: composition.isMailConfigured ?? false,
    async close() {
      await connectors.close();
      await db.destroy();
    },
  };
}
