import pg from 'pg';
import { brand } from '../../../src/domain/process/ids.js';
import type { ApplicationSlug, IdentityId } from '../../../src/domain/process/ids.js';
import type { StoredUser } from '../../../src/embedded/targets/scim-store.js';
import type { World } from '../../support/world.js';

/** Someone whose access was cut, by the identity and by the text that all of their logins begin with. */
export interface CutPerson {
  readonly identityId: IdentityId;
  readonly loginStart: string;
}

interface ErpAccount {
  readonly account_id: string;
  readonly login: string;
  readonly external_id: string;
  readonly enabled: boolean;
}

interface AtTargets {
  readonly directory: readonly StoredUser[];
  readonly wiki: readonly StoredUser[];
  readonly erp: readonly ErpAccount[];
  /** Log-ins of the database server itself and whether they may log in. */
  readonly roles: ReadonlyMap<string, boolean>;
}

/** Asks the targets themselves, past Tenure's tables. */
export async function readTargets(world: World): Promise<AtTargets> {
  const [directory, wiki] = await Promise.all([world.directory.store.users(), world.wiki.store.users()]);
  const client = new pg.Client({ connectionString: world.erp.ownerUrl });
  await client.connect();
  try {
    const accounts = await client.query<ErpAccount>(
      'select account_id::text, login, external_id, enabled from erp.accounts',
    );
    const roles = await client.query<{ rolname: string; rolcanlogin: boolean }>(
      'select rolname, rolcanlogin from pg_roles where rolname like $1',
      [`%${world.tag}%`],
    );
    return {
      directory,
      wiki,
      erp: accounts.rows,
      roles: new Map(roles.rows.map((row) => [row.rolname, row.rolcanlogin])),
    };
  } finally {
    await client.end();
  }
}

/** Everything of cut people that is open at a target, lets a sign-in through, or is there without Tenure's knowledge. Empty = cut. */
export async function stillOpen(world: World, people: readonly CutPerson[]): Promise<readonly string[]> {
  const targets = await readTargets(world);
  const known = await world.deps.db.selectFrom('account').selectAll().where('unlinked_at', 'is', null).execute();
  const found: string[] = [];
  for (const person of people) {
    const isTheirs = (login: string, externalId: string | null): boolean =>
      externalId === person.identityId || login.startsWith(person.loginStart);
    const knows = (application: string, nativeId: string): boolean =>
      known.some(
        (row) => row.identity_id === person.identityId && row.application === application && row.native_id === nativeId,
      );
    for (const [application, users] of [
      ['directory', targets.directory],
      ['wiki', targets.wiki],
    ] as const)
      for (const user of users.filter((one) => isTheirs(one.userName, one.externalId))) {
        if (user.active) found.push(`${application}: ${user.userName} is active`);
        if (!knows(application, user.id)) found.push(`${application}: ${user.userName} is not known to Tenure`);
        const said = await signInAnswers(world, application, person, user.userName);
        found.push(...said);
      }
    for (const account of targets.erp.filter((one) => isTheirs(one.login, one.external_id))) {
      if (account.enabled) found.push(`erp: ${account.login} is enabled`);
      if (!knows('erp', account.account_id)) found.push(`erp: ${account.login} is not known to Tenure`);
      for (const secret of await secretsOf(world, person, 'erp'))
        if (await letsIn(world, account.login, secret)) found.push(`erp: ${account.login} was let in`);
    }
    for (const [role, canLogin] of targets.roles)
      if (role.startsWith(person.loginStart) && canLogin) found.push(`erp: the log-in ${role} may log in`);
  }
  return found;
}

/** Tries every secret that Tenure ever set there; with the sealed one, only the answer "disabled" will do. */
async function signInAnswers(
  world: World,
  application: 'directory' | 'wiki',
  person: CutPerson,
  login: string,
): Promise<readonly string[]> {
  const found: string[] = [];
  const answers: string[] = [];
  for (const secret of await secretsOf(world, person, application)) {
    const answer = await world[application].store.signIn(login, secret, false);
    if ('token' in answer) found.push(`${application}: ${login} was let in`);
    else answers.push(answer.error);
  }
  if (!answers.includes('disabled'))
    found.push(`${application}: no known secret of ${login} is answered with disabled`);
  return found;
}

/** The secret that Tenure sealed with, and the first credential that it handed over. */
async function secretsOf(world: World, person: CutPerson, application: string): Promise<readonly string[]> {
  const { db, keys } = world.deps;
  const slug = brand<ApplicationSlug>(application);
  const accounts = await db
    .selectFrom('account')
    .select(['account_id', 'secret'])
    .where('identity_id', '=', person.identityId)
    .where('application', '=', slug)
    .execute();
  const handovers = await db
    .selectFrom('credential_handover')
    .select('secret')
    .where('identity_id', '=', person.identityId)
    .where('application', '=', slug)
    .execute();
  const sealed = [
    ...accounts.map((row) => ({ context: `secret/${row.account_id}`, secret: row.secret })),
    ...handovers.map((row) => ({ context: `handover/${application}`, secret: row.secret })),
  ];
  const texts: string[] = [];
  for (const { context, secret } of sealed) {
    if (secret === null) continue;
    const text = await keys.decryptFor(db, person.identityId, context, secret);
    if (typeof text === 'string') texts.push(text);
  }
  return texts;
}

/** A real log-in at the ERP's server. */
export async function letsIn(world: World, login: string, secret: string): Promise<boolean> {
  const url = new URL(world.erp.ownerUrl);
  url.username = encodeURIComponent(login);
  url.password = encodeURIComponent(secret);
  const client = new pg.Client({ connectionString: url.href });
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => undefined);
  }
}
