import { Client } from 'pg';
import type { RunInfo } from '../../../src/embedded/supervisor.js';
import type { TargetEffect } from '../../../src/embedded/targets/effects.js';
import { isRepeatable } from './expected.js';

/** What the targets themselves say, past Tenure and its tables; people by HR's number. */
export interface Peek {
  readonly directory: Readonly<Record<string, DirectoryAccount>>;
  readonly erp: Readonly<Record<string, ErpAccount>>;
  /** Effects that changed something, counted by operation, per person, without repeatable ones; `gone` for accounts that no longer exist. */
  readonly effects: {
    readonly directory: EffectCounts;
    readonly erp: EffectCounts;
    readonly wiki: EffectCounts;
  };
  /** All rows of the effect logs, in order. */
  readonly log: readonly TargetEffect[];
}
export interface DirectoryAccount {
  readonly userName: string;
  readonly active: boolean;
  readonly groups: readonly string[];
}
export interface ErpAccount {
  readonly login: string;
  readonly enabled: boolean;
  readonly archived: boolean;
  readonly roles: readonly string[];
}
export type EffectCounts = Readonly<Record<string, Readonly<Record<string, number>>>>;

interface ScimUser {
  readonly id: string;
  readonly userName: string;
  readonly active: boolean;
  readonly 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User'?: { readonly employeeNumber?: string };
}
interface ScimGroup {
  readonly displayName: string;
  readonly members?: readonly { readonly value: string }[];
}

/** Looks at the directory, the wiki and the ERP with their own interfaces. */
export async function peek({ sandbox }: RunInfo): Promise<Peek> {
  const get = async <T>(url: string): Promise<T> => {
    const response = await fetch(url, { headers: { authorization: `Bearer ${sandbox.scimToken}` } });
    if (!response.ok) throw new Error(`${url} answered ${response.status}`);
    return (await response.json()) as T;
  };
  const effectsOf = async (url: string) =>
    (await get<{ readonly effects: readonly TargetEffect[] }>(new URL(url, sandbox.directoryUrl).href)).effects;
  const users = await get<{ readonly Resources: readonly ScimUser[] }>(`${sandbox.directoryUrl}/Users?count=500`);
  const groups = await get<{ readonly Resources: readonly ScimGroup[] }>(`${sandbox.directoryUrl}/Groups?count=500`);
  const people = users.Resources.map((user) => {
    const number = user['urn:ietf:params:scim:schemas:extension:enterprise:2.0:User']?.employeeNumber;
    return { ...user, number: number ?? CANARY };
  });
  const isPerson = ({ number }: { readonly number: string }): boolean => number !== CANARY;
  const erp = await erpAccounts(sandbox.erpUrl);
  const logs = {
    directory: await effectsOf('/_effects'),
    erp: await effectsOf('/_effects/erp'),
    wiki: await effectsOf(new URL('/_effects', sandbox.wikiUrl).href),
  };
  return {
    directory: Object.fromEntries(
      people
        .filter(isPerson)
        .map(({ id, number, userName, active }) => [
          number,
          { userName, active, groups: groupsOf(id, groups.Resources) },
        ]),
    ),
    erp: Object.fromEntries(
      erp
        .filter(isPerson)
        .map(({ number, login, enabled, archived, roles }) => [number, { login, enabled, archived, roles }]),
    ),
    effects: {
      directory: counted(logs.directory, new Map(people.map(({ id, number }) => [id, number]))),
      erp: counted(logs.erp, new Map(erp.map(({ id, number }) => [id, number]))),
      wiki: counted(logs.wiki, new Map()),
    },
    log: [...logs.directory, ...logs.erp, ...logs.wiki],
  };
}

function groupsOf(userId: string, groups: readonly ScimGroup[]): readonly string[] {
  return groups
    .filter((group) => (group.members ?? []).some((member) => member.value === userId))
    .map((group) => group.displayName)
    .sort();
}

async function erpAccounts(url: string) {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<ErpAccount & { readonly id: string; readonly number: string | null }>(
      `select a.account_id::text as id, a.employee_number as number, a.login, a.enabled, a.archived,
              coalesce(array_agg(r.role order by r.role) filter (where r.role is not null), '{}') as roles
         from erp.accounts a left join erp.account_roles r using (account_id) group by a.account_id`,
    );
    return rows.map(({ number, ...row }) => ({ ...row, number: number ?? CANARY }));
  } finally {
    await client.end();
  }
}

/** Whose account the probes' canary is: nobody's. */
const CANARY = 'canary';

function counted(log: readonly TargetEffect[], people: ReadonlyMap<string, string>): EffectCounts {
  const counts: Record<string, Record<string, number>> = {};
  for (const { targetId, operation, changed } of log) {
    const number = people.get(targetId) ?? 'gone';
    if (!changed || number === CANARY || isRepeatable(operation)) continue;
    const person = (counts[number] ??= {});
    person[operation] = (person[operation] ?? 0) + 1;
  }
  return counts;
}
