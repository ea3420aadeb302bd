import { randomBytes, randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import type { Insertable } from 'kysely';
import { pino } from 'pino';
import { createApi } from '../../src/api/app.js';
import type { ApiLimits } from '../../src/api/app.js';
import type { ApiDeps } from '../../src/api/deps.js';
import { Dispatcher } from '../../src/api/dispatch/dispatcher.js';
import type { Lifecycle } from '../../src/api/dispatch/lifecycle.js';
import { ensureToken } from '../../src/api/http/tokens.js';
import { createPlanner } from '../../src/api/identities/planner.js';
import { createPreview } from '../../src/api/identities/plan-preview.js';
import { createMetrics } from '../../src/api/metrics.js';
import { createShippedRegistry } from '../../src/connectors/kinds.js';
import { openDatabase } from '../../src/db/database.js';
import type { Database } from '../../src/db/database.js';
import { KeyRing } from '../../src/db/keys.js';
import type { ApiRole, ProcessTable } from '../../src/db/schema.js';
import { brand } from '../../src/domain/process/ids.js';
import type { IdentityId, Instant, ProcessId } from '../../src/domain/process/ids.js';
import type { ServiceAccountProcess } from '../../src/onboarding/service-accounts.js';
import { PolicyStore, publishPolicy } from '../../src/planning/policy-store.js';
import { connectorChecks } from '../../src/policy/connector-checks.js';
import { loadPolicyFiles } from '../../src/policy/load.js';
import type {
  ApplicationTestInput,
  ApprovalDecision,
  ImportInput,
  LedgerChanged,
  TaskResolution,
} from '../../src/workflows/messages.js';
import { createTestDatabase } from '../support/stack.js';
import type { TestDatabase } from '../support/stack.js';

export const NOW = brand<Instant>('2026-11-23T09:00:00.000Z');
const POLICY = fileURLToPath(new URL('../../policy', import.meta.url));

/** Stands in for Temporal in these tests only: it remembers what it was told and fails when told to. */
export class FakeLifecycle implements Lifecycle {
  readonly told: (LedgerChanged & { readonly identityId: IdentityId })[] = [];
  readonly decisions: ApprovalDecision[] = [];
  readonly resolutions: TaskResolution[] = [];
  failure: Error | undefined;

  async ledgerChanged(identityId: IdentityId, change: LedgerChanged): Promise<{ known: number }> {
    if (this.failure) throw this.failure;
    this.told.push({ identityId, ...change });
    return { known: change.ledgerVersion };
  }
  async decideApproval(_workflowId: string, decision: ApprovalDecision): Promise<{ status: 'approved' | 'denied' }> {
    if (this.failure) throw this.failure;
    this.decisions.push(decision);
    return { status: decision.verdict };
  }
  async resolveTask(_workflowId: string, resolution: TaskResolution): Promise<{ status: 'resolved' }> {
    if (this.failure) throw this.failure;
    this.resolutions.push(resolution);
    return { status: 'resolved' };
  }
  readonly started: (ApplicationTestInput | ImportInput)[] = [];
  async startApplicationTest(input: ApplicationTestInput): Promise<void> {
    if (this.failure) throw this.failure;
    this.started.push(input);
  }
  async startImport(input: ImportInput): Promise<void> {
    if (this.failure) throw this.failure;
    this.started.push(input);
  }
  readonly serviceAccounts: ServiceAccountProcess[] = [];
  async startServiceAccount(process: ServiceAccountProcess): Promise<void> {
    if (this.failure) throw this.failure;
    this.serviceAccounts.push(process);
  }
  readonly amended: string[] = [];
  async amend(workflowId: string): Promise<void> {
    if (this.failure) throw this.failure;
    this.amended.push(workflowId);
  }
  async isReachable(): Promise<boolean> {
    return this.failure === undefined;
  }
}

/** Whatever a test reads out of an answer; as loose as JSON.parse itself. */
export type Loose = ReturnType<typeof JSON.parse>;
export interface Answer {
  readonly status: number;
  readonly body: Loose;
  readonly text: string;
  readonly headers: Headers;
}
export interface CallOptions {
  readonly as?: ApiRole | 'nobody' | { readonly token: string };
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly raw?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface TestApi {
  readonly url: string;
  readonly db: Database;
  readonly database: TestDatabase;
  readonly keys: KeyRing;
  readonly lifecycle: FakeLifecycle;
  readonly deps: ApiDeps;
  readonly logs: string[];
  readonly tokens: Readonly<Record<ApiRole, string>>;
  clock: Instant;
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  hr(...records: readonly object[]): Promise<Answer>;
  /** Rows of every table in the public schema, but for tokens and idempotency keys. */
  counts(): Promise<Readonly<Record<string, number>>>;
  close(): Promise<void>;
}

/** A running API on a database of its own, with a real Postgres behind it, under the app role. */
export async function startTestApi(limits?: ApiLimits): Promise<TestApi> {
  const database = await createTestDatabase();
  const db = openDatabase(database.app);
  const keys = new KeyRing(randomBytes(32).toString('base64'));
  const policies = new PolicyStore();
  await publishPolicy(db, await loadPolicyFiles(POLICY), 'test');
  const lifecycle = new FakeLifecycle();
  const logs: string[] = [];
  const logger = pino({ level: 'trace' }, { write: (line: string) => void logs.push(line) });
  const metrics = createMetrics();
  const registry = createShippedRegistry();
  const dispatcher = new Dispatcher({ db, lifecycle, metrics, logger, pollMs: 50 });
  const clock = { now: NOW };
  const deps: ApiDeps = {
    db,
    keys,
    policies,
    lifecycle,
    dispatcher,
    metrics,
    logger,
    planner: createPlanner({ db, keys, policies, preview: createPreview({ db, keys, policies, registry }) }),
    connectorChecks: connectorChecks(registry),
    registry,
    now: () => clock.now,
  };
  const tokens = {} as Record<ApiRole, string>;
  for (const role of ['hr', 'operator', 'manager', 'auditor', 'admin'] as const) {
    tokens[role] = `test_${role}_${randomBytes(24).toString('base64url')}`;
    await ensureToken(db, { name: `test-${role}`, role, token: tokens[role] });
  }
  const app = await createApi(deps, limits);
  await app.listen({ port: 0, host: '127.0.0.1' });
  const url = (await app.getUrl()).replace('[::1]', '127.0.0.1');
  dispatcher.start();
  const call = async (method: string, path: string, options: CallOptions = {}): Promise<Answer> => {
    const as = options.as ?? 'admin';
    const token = as === 'nobody' ? undefined : typeof as === 'string' ? tokens[as] : as.token;
    const body = options.raw ?? (options.body === undefined ? undefined : JSON.stringify(options.body));
    const response = await fetch(url + path, {
      method,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...options.headers,
      },
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    const isJson = (response.headers.get('content-type') ?? '').includes('json');
    return { status: response.status, body: isJson ? JSON.parse(text) : undefined, text, headers: response.headers };
  };
  return {
    url,
    db,
    database,
    keys,
    lifecycle,
    deps,
    logs,
    tokens,
    get clock() {
      return clock.now;
    },
    set clock(value) {
      clock.now = value;
    },
    call,
    hr: (...records) => call('POST', '/v1/hr/events', { as: 'hr', body: records }),
    counts: () => countRows(database.admin),
    async close() {
      await app.close();
      await dispatcher.stop();
      await db.destroy();
      await database.drop();
    },
  };
}

async function countRows(adminUrl: string): Promise<Readonly<Record<string, number>>> {
  const admin = openDatabase(adminUrl, { max: 1 });
  try {
    const tables = await admin.introspection.getTables();
    const counts: Record<string, number> = {};
    for (const { name } of tables) {
      if (name === 'idempotency' || name === 'api_token') continue;
      const row = await admin
        .selectFrom(name as 'fact')
        .select(({ fn }) => fn.countAll<string>().as('count'))
        .executeTakeFirstOrThrow();
      counts[name] = Number(row.count);
    }
    return counts;
  } finally {
    await admin.destroy();
  }
}

let serial = 0;
/** A hire of an invented person; every call is another one unless `person` says otherwise. */
export function hire(more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> & { eventId: string } {
  serial += 1;
  const person = `P${serial}`;
  return {
    source: 'hr-test',
    eventId: `hire-${serial}`,
    person,
    employment: `${typeof more['person'] === 'string' ? more['person'] : person}-1`,
    kind: 'hire',
    startOn: '2026-01-05',
    zone: 'Europe/Berlin',
    worker: 'employee',
    attributes: { givenName: 'Ada', familyName: `Marker${serial}`, department: 'Finance', employeeNumber: person },
    ...more,
  };
}

/** Waits until a condition holds; fails after two seconds. */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let waited = 0; waited < 4_000; waited += 20) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('the condition never came true');
}

/** A row of a process without a workflow, as the queue of its person would have opened it; `change`: what differs. Gives the process's id. */
export async function insertProcess(
  api: Pick<TestApi, 'db' | 'clock'>,
  identityId: IdentityId,
  kind: 'joiner' | 'leaver',
  change: Partial<Insertable<ProcessTable>> = {},
): Promise<ProcessId> {
  const processId = brand<ProcessId>(`${randomUUID()}/${kind}/1/r1`);
  await api.db
    .insertInto('process')
    .values({
      process_id: processId,
      transition_id: brand(processId.slice(0, -3)),
      revision: 1,
      identity_id: identityId,
      kind,
      process_kind: kind,
      generation: 0,
      state: 'running',
      phase: null,
      workflow_id: `identity:${identityId}/process:${processId}`,
      policy_version: brand(1),
      effective_at: api.clock,
      notice_at: null,
      digest: 'x',
      due_at: null,
      blocked_on: null,
      detail: '{}',
      started_at: null,
      ended_at: null,
      outcome: null,
      ...change,
    })
    .execute();
  return processId;
}
