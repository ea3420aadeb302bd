import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The sample company's policy. */
export const sample = fileURLToPath(new URL('../../../policy', import.meta.url));

/** Folder of a policy in which everybody gets an account with an entitlement in each of `count` applications without I/O. */
export function writeEnginePolicy(folder: string, count: number): string {
  const slugs = Array.from({ length: count }, (_, index) => `noop-${index + 1}`);
  startPolicy(folder);
  for (const slug of slugs) writeFileSync(join(folder, 'applications', `${slug}.yaml`), noopApplication(slug));
  writeRole(
    folder,
    slugs.map((slug) => `{ application: ${slug}, entitlement: everybody }`),
  );
  return folder;
}

/** Folder of a policy with the sample company's directory (SCIM) and ERP (SQL), for everybody, without approvals or manual work. */
export function writeTargetsPolicy(folder: string): string {
  startPolicy(folder);
  for (const slug of targetApplications)
    cpSync(join(sample, 'applications', `${slug}.yaml`), join(folder, 'applications', `${slug}.yaml`));
  writeRole(folder, [
    '{ application: directory, entitlement: all-staff }',
    '{ application: erp, entitlement: orders }',
  ]);
  return folder;
}

export const targetApplications = ['directory', 'erp'] as const;

/** A policy's folder with the sample company's rules of lifecycle and no applications yet. */
export function startPolicy(folder: string): void {
  for (const name of ['applications', 'roles']) mkdirSync(join(folder, name), { recursive: true });
  const lifecycle = readFileSync(join(sample, 'lifecycle.yaml'), 'utf8');
  // The bench is about the cut itself: what later looks at it find is evidence of its own, minutes after.
  const withoutLooks = lifecycle.replace(/^staysDead:.*$/mu, 'staysDead: []');
  if (withoutLooks === lifecycle) throw new Error('the sample policy has no line of looks after a cut');
  writeFileSync(join(folder, 'lifecycle.yaml'), withoutLooks);
}

/** A role for everybody. */
export function writeRole(folder: string, grants: readonly string[]): void {
  const lines = ['slug: everybody', 'name: Everybody', 'when: employment.worker == "employee"', 'grants:'];
  writeFileSync(
    join(folder, 'roles', 'everybody.yaml'),
    [...lines, ...grants.map((grant) => `  - ${grant}`), ''].join('\n'),
  );
}

function noopApplication(slug: string): string {
  return `slug: ${slug}
name: In memory ${slug}
connector: noop
mode: sync
criticality: standard
login: account.userName
attributes:
  externalId: person.id
  displayName: person.displayName
  mail: account.mail
  employeeNumber: person.employeeNumber
  department: person.department
correlation:
  strong: [externalId]
archive: disable-only
delete: delete
preStart: false
`;
}
