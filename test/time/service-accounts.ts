import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { ApiDeps } from '../../src/api/deps.js';
import type { Caller } from '../../src/api/http/tokens.js';
import { decideApproval } from '../../src/api/approvals/decide.js';
import { declare } from '../../src/api/service-accounts/change.js';
import type { PolicyFiles } from '../../src/domain/policy/types.js';
import type { IdentityId, Instant } from '../../src/domain/process/ids.js';
import { eventually } from '../support/world.js';
import type { World } from '../support/world.js';
import { letsIn } from '../workflows/support/at-targets.js';
import { withoutHands } from './people.js';

/** The secret of every service in these tests, and the file in which policy says it is kept. */
export const SERVICE_SECRET = 'Svc-0wn-secret-of-the-service';

/** Logins whose own secret policy knows; world tags make them this world's. */
export interface Services {
  readonly policy: (files: PolicyFiles) => PolicyFiles;
  end(): Promise<void>;
}

/** Policy under which ERP accounts called `svc…` are service accounts; the secrets of `known` are kept in a file. */
export async function serviceAccountPolicy(known: readonly string[]): Promise<Services> {
  const folder = await mkdtemp(join(tmpdir(), 'tenure-services-'));
  const file = join(folder, 'secret');
  await writeFile(file, SERVICE_SECRET);
  const secrets = known.map((login) => `    ${login}: 'file:${file}'`).join('\n');
  const block = `serviceAccounts:\n  when: account.login.startsWith("svc")\n  secrets:\n${secrets}\n`;
  return {
    policy: (files) =>
      withoutHands(files).map((one) =>
        one.path === 'applications/erp.yaml' ? { ...one, text: `${one.text}\n${block}` } : one,
      ),
    end: () => rm(folder, { recursive: true, force: true }),
  };
}

async function atErp<T>(world: World, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: world.erp.ownerUrl });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** A program's account at the ERP that nobody at Tenure made: a row, a real log-in with a secret of its own, a role. */
export async function makeService(world: World, login: string, enabled = true): Promise<void> {
  await atErp(world, async (client) => {
    const role = pg.escapeIdentifier(login);
    await client.query('set role erp_service');
    await client.query(
      `create role ${role} ${enabled ? 'login' : 'nologin'} password ${pg.escapeLiteral(SERVICE_SECRET)}`,
    );
    await client.query(`grant erp_user to ${role}`);
    await client.query('reset role');
    const { rows } = await client.query<{ id: string }>(
      `insert into erp.accounts (login, external_id, display_name, enabled) values ($1, $1, 'A program', $2) returning account_id::text as id`,
      [login, enabled],
    );
    await client.query(
      `insert into erp.account_roles (account_id, role) select $1::bigint, role from erp.roles limit 1`,
      [rows[0]?.id],
    );
  });
}

/** Everything that the ERP and its server hold of a login, the password's own digest included. */
export async function atTarget(world: World, login: string): Promise<object> {
  return atErp(world, async (client) => {
    const account = await client.query(
      `select a.*, array(select role from erp.account_roles r where r.account_id = a.account_id) as roles from erp.accounts a where login = $1`,
      [login],
    );
    const role = await client.query('select rolcanlogin, rolpassword from pg_authid where rolname = $1', [login]);
    return { account: account.rows, role: role.rows as object[] };
  });
}

/** A real sign-in of the service, with its own secret. */
export function serviceGetsIn(world: World, login: string): Promise<boolean> {
  return letsIn(world, login, SERVICE_SECRET);
}

export function doorOf(world: World): ApiDeps {
  const now = () => new Date().toISOString() as Instant;
  return { ...world.deps, lifecycle: world.lifecycle, dispatcher: world.dispatcher, now } as unknown as ApiDeps;
}

export const operator: Caller = { tokenId: 't', name: 'operator', role: 'operator' } as unknown as Caller;
export function manager(identityId: IdentityId): Caller {
  return { tokenId: 't', name: 'manager', role: 'manager', identityId } as unknown as Caller;
}

/** Declares a service account; gives its identity and the workflow that asks about it. */
export async function declared(world: World, login: string, owners: readonly IdentityId[]) {
  const id = await declare(doorOf(world), { application: 'erp', login, owners, actor: 'operator' });
  return { id, workflow: await workflowOf(world, id) };
}

export async function workflowOf(world: World, id: IdentityId): Promise<string> {
  const row = await world.deps.db
    .selectFrom('process')
    .select('workflow_id')
    .where('identity_id', '=', id)
    .orderBy('opened_at', 'desc')
    .executeTakeFirstOrThrow();
  return row.workflow_id;
}

/** An owner answers the question that is open for them. */
export async function says(
  world: World,
  id: IdentityId,
  owner: IdentityId,
  word: 'remove' | 'keep',
  caller = manager(owner),
): Promise<void> {
  const approval = await eventually(
    () =>
      world.deps.db
        .selectFrom('approval')
        .select('approval_id')
        .where('identity_id', '=', id)
        .where('approver_identity_id', '=', owner)
        .where('status', '=', 'pending')
        .executeTakeFirst(),
    'a question to the owner',
  );
  const verdict = word === 'remove' ? 'approved' : 'denied';
  await decideApproval(doorOf(world), { approvalId: approval.approval_id, caller, verdict });
}

/** Waits until the service account's process is in a state. */
export async function stands(
  world: World,
  id: IdentityId,
  is: (row: { state: string; phase: string | null; blocked: string | null; outcome: string | null }) => boolean,
) {
  return eventually(async () => {
    const row = await world.deps.db
      .selectFrom('service_account')
      .innerJoin('process', 'process.process_id', 'service_account.process_id')
      .select(['service_account.state', 'process.phase', 'process.blocked_on as blocked', 'process.outcome'])
      .select(['process.due_at', 'process.state as process_state'])
      .where('service_account.identity_id', '=', id)
      .executeTakeFirstOrThrow();
    if (is(row)) return row;
    throw new Error(JSON.stringify(row));
  }, 'the service account');
}

/** Open tasks of an operator about a service account. */
export async function openTask(world: World, id: IdentityId, code: string) {
  return eventually(
    () =>
      world.deps.db
        .selectFrom('operator_task')
        .selectAll()
        .where('identity_id', '=', id)
        .where('status', '=', 'open')
        .where('code', '=', code)
        .executeTakeFirst(),
    `the task ${code}`,
  );
}

export async function proofsOf(world: World, id: IdentityId): Promise<readonly string[]> {
  const rows = await world.deps.db
    .selectFrom('evidence')
    .select(['phase', 'check_kind', 'verdict'])
    .where('identity_id', '=', id)
    .orderBy('at')
    .orderBy('check_kind')
    .execute();
  return rows.map((row) => `${row.phase} ${row.check_kind} ${row.verdict}`);
}
