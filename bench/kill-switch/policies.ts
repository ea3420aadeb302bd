import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { filledIn } from '../../src/embedded/systems/policy-overlay.js';
import { sample, startPolicy, writeRole } from '../spine/policies.js';
import { LDAP_SLUG, erpCanary, erpLogin, erpSlug, erpVariable, numbers, scimSlug, scimVariable } from './company.js';
import type { Company } from './company.js';

/** Folder of a policy in which everybody has an account with an entitlement in each application; the applications are the sample company's own, several times. */
export function writeCompanyPolicy(folder: string, company: Company): string {
  startPolicy(folder);
  const grants: string[] = [];
  const add = (slug: string, text: string, entitlement: string): void => {
    writeFileSync(join(folder, 'applications', `${slug}.yaml`), text);
    grants.push(`{ application: ${slug}, entitlement: ${entitlement} }`);
  };
  for (const number of numbers(company.scim)) add(scimSlug(number), scimApplication(number), 'all-staff');
  for (const number of numbers(company.erp)) add(erpSlug(number), erpApplication(company, number), 'orders');
  if (company.slapd !== undefined) add(LDAP_SLUG, ldapApplication(company.slapd.values), 'all-staff');
  writeRole(folder, grants);
  return folder;
}

function scimApplication(number: number): string {
  return changed(readFileSync(join(sample, 'applications', 'directory.yaml'), 'utf8'), [
    ['slug: directory', `slug: ${scimSlug(number)}`],
    ['env:TENURE_SANDBOX_SCIM_URL', `env:${scimVariable(number)}`],
    ['env:TENURE_SANDBOX_SCIM_TOKEN', 'env:BENCH_SCIM_TOKEN'],
  ]);
}

function erpApplication(company: Company, number: number): string {
  return changed(readFileSync(join(sample, 'applications', 'erp.yaml'), 'utf8'), [
    ['slug: erp', `slug: ${erpSlug(number)}`],
    ['env:TENURE_SANDBOX_ERP_URL', `env:${erpVariable(number)}`],
    // So many ERPs share one Postgres server.
    ['  dialect: postgres', '  dialect: postgres\n  maxConnections: 3'],
    ['dependsOn: [directory]', `dependsOn: [${scimSlug(1)}]`],
    ['login: account.userName', `login: '${erpLogin(company, number, 'account.userName')}'`],
    ['canaryLogin: tenure_canary', `canaryLogin: ${erpCanary(company, number)}`],
  ]);
}

function ldapApplication(values: NonNullable<Company['slapd']>['values']): string {
  const text = readFileSync(join(sample, 'sandbox', 'slapd', 'applications', 'directory.yaml'), 'utf8');
  return changed(filledIn(text, values), [['slug: directory', `slug: ${LDAP_SLUG}`]]);
}

function changed(text: string, changes: readonly (readonly [string, string])[]): string {
  return changes.reduce((before, [from, to]) => {
    if (!before.includes(from)) throw new Error(`the sample policy no longer has: ${from}`);
    return before.replace(from, to);
  }, text);
}
