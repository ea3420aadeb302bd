import { freePort } from '../../src/embedded/processes.js';
import { databaseOsUser } from '../../src/embedded/os-user.js';
import { slapd } from '../../src/embedded/systems/slapd.js';
import type { SystemContext, SystemFacts } from '../../src/embedded/systems/system.js';
import type { Stack } from '../spine/stack.js';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

/** In how many targets of which kind a person has an account. */
export interface Company {
  /** A letter that tells its servers, databases and log-ins from another company's. */
  readonly name: string;
  readonly scim: number;
  readonly erp: number;
  /** Absent where the machine has no slapd, or two accounts are enough. */
  readonly slapd?: SystemFacts;
}

/** Accounts of a person by kind of target, for the document. */
export function kindsOf(company: Company): Record<string, number> {
  return { scim: company.scim, 'sql with log-ins': company.erp, ldap: company.slapd === undefined ? 0 : 1 };
}

export const scimSlug = (number: number): string => `scim-${number}`;
export const erpSlug = (number: number): string => `erp-${number}`;
export const LDAP_SLUG = 'ldap-1';

export function slugsOf(company: Company): readonly string[] {
  return [
    ...numbers(company.scim).map(scimSlug),
    ...numbers(company.erp).map(erpSlug),
    ...(company.slapd === undefined ? [] : [LDAP_SLUG]),
  ];
}

export function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

/** Shares `accounts` among the sandbox's kinds: one slapd where it is there and more than two are wanted, the rest half SCIM, half SQL. */
export async function planCompany(stack: Stack, name: string, accounts: number): Promise<Company> {
  const facts = accounts > 2 ? await startSlapd(stack) : undefined;
  const rest = facts === undefined ? accounts : accounts - 1;
  const scim = Math.ceil(rest / 2);
  return { name, scim, erp: rest - scim, ...(facts === undefined ? {} : { slapd: facts }) };
}

export const scimDatabase = ({ name }: Company, number: number): string => `bench_${name}_scim_${number}`;
export const erpDatabase = ({ name }: Company, number: number): string => `bench_${name}_erp_${number}`;
export const scimVariable = (number: number): string => `BENCH_SCIM_URL_${number}`;
export const erpVariable = (number: number): string => `BENCH_ERP_URL_${number}`;
/** Log-ins belong to the whole Postgres server, so each ERP has a canary, and a form of log-ins, of its own. */
export const erpCanary = ({ name }: Company, number: number): string => `canary_${name}${number}`;
export const erpLogin = ({ name }: Company, number: number, userName: string): string =>
  `"${name}${number}." + ${userName}`;

/** Starts the SCIM servers and ERPs; the answer is what a worker needs to know of them. */
export async function startCompany(
  stack: Stack,
  company: Company,
): Promise<{ readonly env: Readonly<Record<string, string>>; readonly pid: number; stop(): Promise<void> }> {
  const child = await stack.startChild(`targets-${company.name}`, 'bench/kill-switch/targets-child.js', {
    TENURE_SANDBOX_POSTGRES_URL: stack.adminUrl,
    BENCH_COMPANY: JSON.stringify({ name: company.name, scim: company.scim, erp: company.erp }),
  });
  return { env: child.ready.env, pid: child.mark.pid, stop: () => child.stop() };
}

async function startSlapd(stack: Stack): Promise<SystemFacts | undefined> {
  if ('missing' in (await slapd.find(stack.home))) return undefined;
  const folder = join(stack.home, 'slapd');
  mkdirSync(folder, { mode: 0o711 });
  const context: SystemContext = {
    folder,
    cacheDir: stack.home,
    port: await freePort(),
    logFile: join(stack.home, 'slapd.log'),
    user: await databaseOsUser(),
    say: () => undefined,
    signal: new AbortController().signal,
  };
  await slapd.prepare(context);
  stack.adopt('slapd', await slapd.start(context));
  return slapd.facts(context);
}
