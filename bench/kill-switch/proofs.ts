import { Client as LdapClient } from 'ldapts';
import { sql } from 'kysely';
import pg from 'pg';
import { NOT_CARRIED_OUT } from '../../src/domain/process/outcome.js';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { databaseUrl } from '../../src/embedded/targets/database.js';
import { spread } from '../statistics.js';
import type { Spread } from '../statistics.js';
import { Clocks } from '../spine/clocks.js';
import type { Door } from '../spine/door.js';
import { LDAP_SLUG, erpDatabase, erpSlug, numbers, scimDatabase, scimSlug } from './company.js';
import type { Company } from './company.js';

/** One Tier 1 visit of a cut. */
export interface CutVisit {
  readonly identityId: IdentityId;
  readonly application: string;
  readonly outcome: string | null;
  /** Sign-ins with our secret that the target refused as it should, with a canary that got in. */
  readonly provenSignIns: number;
}

/**
 * What is wrong with the proofs of these cuts; nothing when each person has exactly one proven Tier 1 visit in each application, with a refused sign-in behind
 * it. A figure whose count is wrong is no figure. Pure.
 */
export function complaints(
  people: readonly IdentityId[],
  applications: readonly string[],
  visits: readonly CutVisit[],
): readonly string[] {
  const found: string[] = [];
  const byKey = new Map<string, CutVisit[]>();
  for (const visit of visits) {
    const key = `${visit.identityId} ${visit.application}`;
    byKey.set(key, [...(byKey.get(key) ?? []), visit]);
  }
  for (const id of people)
    for (const application of applications) {
      const [visit, ...more] = byKey.get(`${id} ${application}`) ?? [];
      if (visit === undefined) found.push(`${id} at ${application}: never cut`);
      else if (more.length > 0) found.push(`${id} at ${application}: cut ${more.length + 1} times`);
      else if (visit.outcome !== 'proven') found.push(`${id} at ${application}: ${visit.outcome ?? 'open'}`);
      else if (visit.provenSignIns === 0) found.push(`${id} at ${application}: no sign-in was refused`);
    }
  const expected = people.length * applications.length;
  if (found.length === 0 && visits.length !== expected) found.push(`${visits.length} visits instead of ${expected}`);
  return found;
}

/** Throws unless every one of these cuts was proven as a whole, by Tenure's evidence and at the targets themselves. */
export async function requireProven(
  door: Door,
  adminUrl: string,
  company: Company,
  applications: readonly string[],
  people: readonly IdentityId[],
): Promise<void> {
  const wrong = [
    ...complaints(people, applications, await tier1Visits(door, people)),
    ...(await stillOpen(door, adminUrl, company, people)),
  ];
  if (wrong.length > 0)
    throw new Error(`${wrong.length} of the cuts' accounts are not proven: ${wrong.slice(0, 5).join('; ')}`);
}

/**
 * When each person's last Tier 1 proof was, in milliseconds of the wall's clock. Throws for somebody without one, and for a proof whose instant cannot be put on
 * that clock.
 */
export async function provenAt(
  door: Door,
  people: readonly IdentityId[],
): Promise<{ readonly at: ReadonlyMap<IdentityId, number>; readonly clockBehindMs: Spread }> {
  const clocks = new Clocks(door);
  const at = await clocks.tier1ProvenAt(people);
  if (clocks.notCorrected > 0) throw new Error(`${clocks.notCorrected} proofs are not on the wall's clock`);
  if (at.size !== people.length || [...at.values()].some((ms) => !Number.isFinite(ms)))
    throw new Error(`not everybody of ${people.length} has a last proof`);
  return { at, clockBehindMs: spread(clocks.behindMs) };
}

/** Tier 1 visits that were carried out. */
export async function tier1Visits(door: Door, people: readonly IdentityId[]): Promise<readonly CutVisit[]> {
  const rows = await door.db
    .selectFrom('visit')
    .select(['identity_id', 'application', 'outcome'])
    .select((eb) =>
      eb
        .selectFrom('evidence')
        .select((of) => of.fn.countAll<string>().as('count'))
        .whereRef('evidence.visit_id', '=', 'visit.visit_id')
        .where('evidence.check_kind', '=', 'sign-in')
        .where('evidence.verdict', '=', 'proven')
        .as('provenSignIns'),
    )
    .where('phase', '=', 'cut')
    .where('tier', '=', 'T1')
    .where('identity_id', '=', sql<IdentityId>`any(${[...people]}::uuid[])`)
    .execute();
  return rows
    .filter((row) => !NOT_CARRIED_OUT.has(row.outcome ?? ''))
    .map((row) => ({
      identityId: row.identity_id,
      application: row.application,
      outcome: row.outcome,
      provenSignIns: Number(row.provenSignIns),
    }));
}

/** Accounts of these people that the targets themselves still show as open. */
async function stillOpen(
  door: Door,
  adminUrl: string,
  company: Company,
  people: readonly IdentityId[],
): Promise<readonly string[]> {
  const accounts = await door.db
    .selectFrom('account')
    .select(['application', 'native_id', 'login'])
    .where('identity_id', '=', sql<IdentityId>`any(${[...people]}::uuid[])`)
    .execute();
  const at = (slug: string, column: 'native_id' | 'login'): readonly string[] =>
    accounts.filter((one) => one.application === slug).map((one) => one[column]);
  const open: string[] = [];
  for (const number of numbers(company.scim)) {
    const slug = scimSlug(number);
    const text = 'select id from users where active and id = any($1)';
    open.push(
      ...(await idsOf(databaseUrl(adminUrl, scimDatabase(company, number)), text, slug, at(slug, 'native_id'))),
    );
  }
  for (const number of numbers(company.erp)) {
    const slug = erpSlug(number);
    const text = `select account_id::text as id from erp.accounts left join pg_roles on rolname = login
      where (enabled or coalesce(rolcanlogin, false)) and account_id::text = any($1)`;
    open.push(...(await idsOf(databaseUrl(adminUrl, erpDatabase(company, number)), text, slug, at(slug, 'native_id'))));
  }
  if (company.slapd !== undefined) open.push(...(await unlockedEntries(company.slapd, at(LDAP_SLUG, 'login'))));
  return open;
}

async function idsOf(url: string, text: string, slug: string, ids: readonly string[]): Promise<readonly string[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ id: string }>(text, [ids]);
    return rows.map((row) => `${row.id} is still open at ${slug}`);
  } finally {
    await client.end();
  }
}

async function unlockedEntries(
  { access }: NonNullable<Company['slapd']>,
  logins: readonly string[],
): Promise<readonly string[]> {
  const client = new LdapClient({ url: access['url'] ?? '', tlsOptions: { rejectUnauthorized: false } });
  try {
    await client.bind(access['adminDn'] ?? '', access['adminPassword'] ?? '');
    const filter = '(&(objectClass=inetOrgPerson)(!(pwdAccountLockedTime=*)))';
    const { searchEntries } = await client.search(access['suffix'] ?? '', { filter, attributes: ['uid'] });
    const unlocked = new Set(searchEntries.map((entry) => String(entry['uid'])));
    return logins.filter((login) => unlocked.has(login)).map((login) => `${login} is still open at ${LDAP_SLUG}`);
  } finally {
    await client.unbind();
  }
}
