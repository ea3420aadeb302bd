import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PolicyFiles } from '../../../src/domain/policy/types.js';
import { sftpPlace } from '../../connectors/file-harness.js';
import { ldapConfig } from '../../connectors/ldap-harness.js';
import { mailConfig, proofSender } from '../../connectors/mail-setup.js';
import { startVaultWorld, vaultConfig } from '../../connectors/vault-harness.js';
import type { VaultWorld } from '../../connectors/vault-harness.js';
import { startKeycloak } from '../../systems/keycloak.js';
import type { Realm } from '../../systems/keycloak.js';
import { doveadmKey, mailDomain, mailMaster, startMail } from '../../systems/mail.js';
import type { MailSystem } from '../../systems/mail.js';
import { startOpenLdap } from '../../systems/openldap.js';
import type { OpenLdap } from '../../systems/openldap.js';
import { startSftp } from '../../systems/sftp.js';
import type { SftpServer } from '../../systems/sftp.js';
import { startVault } from '../../systems/vault.js';
import { replaced } from './people.js';

/** Real systems of this machine that stand in for the sample's; undefined: not here, and not in the policy. */
export interface RealSystems {
  readonly directory: OpenLdap;
  readonly mail: MailSystem;
  readonly files: SftpServer;
  readonly sso: Realm | undefined;
  readonly vault: VaultWorld | undefined;
  /** The sample policy on these systems alone. */
  policy(files: PolicyFiles): PolicyFiles;
  stop(): Promise<void>;
}

const CANARY = 'tenure-canary';

/** Starts them; with Keycloak and Vault where they can be had. Whoever starts them stops them. */
export async function startRealSystems(with_: {
  readonly keycloak: boolean;
  readonly vault: string | undefined;
}): Promise<RealSystems> {
  const folder = mkdtempSync(join(tmpdir(), 'tenure-real-'));
  const secret = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return `file:${join(folder, name)}`;
  };
  const [directory, mail, files] = [await startOpenLdap(), await startMail(), await startSftp()];
  const sso = with_.keycloak ? await (await startKeycloak()).createRealm() : undefined;
  const vault = with_.vault === undefined ? undefined : await startVaultWorld(await startVault(with_.vault));
  await directory.apply(directoryContent(directory));
  await mail.addUser(proofSender, randomBytes(12).toString('hex'));
  await writeFile(join(files.inbox, 'accounts.csv'), 'id;login;state;tenure;name\r\n');
  const { doveadm, sieve, imap, closing, proof } = mailConfig(mail);
  const ca = secret('mail-ca', mail.caText);
  const ldap = ldapConfig(directory);
  const applications = [
    application('directory', 'ldap', {
      config: { ...ldap, bind: { ...ldap.bind, password: secret('ldap', directory.service.password) } },
      login: 'account.userName',
      attributes: {
        externalId: 'person.id',
        displayName: 'person.displayName',
        familyName: 'person.familyName',
        mail: 'account.mail',
        department: 'person.department',
      },
      archive: 'archive',
      delete: 'delete',
      canaryLogin: CANARY,
    }),
    application('mail', 'mail', {
      config: {
        doveadm: { ...doveadm, key: secret('doveadm', doveadmKey) },
        sieve: { ...sieve, ca, masterPassword: secret('master', mailMaster.password) },
        imap: { ...imap, ca },
        closing,
        proof,
      },
      // Mailboxes are the mail administrator's to make; Tenure links them.
      mode: 'jit',
      login: 'account.mail',
      attributes: { mail: 'account.mail' },
      correlation: { weak: ['login'] },
      handover: {
        mail: {
          to: 'manager',
          keepsCopy: false,
          autoReply: { subject: 'No longer here', text: '{name} has left. Please write to {delegate}.' },
        },
      },
    }),
    application('payroll', 'file', {
      config: {
        place: sftpPlace(files),
        mode: { kind: 'snapshot', file: 'accounts.csv' },
        format: { delimiter: ';' },
        accounts: { key: 'id', login: 'login', status: { column: 'state', enabled: 'active', disabled: 'inactive' } },
        attributes: { externalId: 'tenure', displayName: { column: 'name', required: true } },
      },
      login: 'account.userName',
      attributes: { externalId: 'person.id', displayName: 'person.displayName' },
      archive: 'disable-only',
    }),
    ...(sso === undefined ? [] : [application('sso', 'identity-provider', ssoPolicy(sso, secret))]),
    ...(vault === undefined
      ? []
      : [
          application('vault', 'vault', {
            config: { ...vaultConfig(vault.vault, undefined), auth: { token: secret('vault', vault.serviceToken) } },
            login: 'account.userName',
            attributes: { externalId: 'person.id', displayName: 'person.displayName' },
            canaryLogin: CANARY,
          }),
        ]),
  ];
  const slugs = applications.map((one) => one.slug).filter((slug) => slug !== 'directory');
  return {
    directory,
    mail,
    files,
    sso,
    vault,
    policy: (sample) => [
      ...replaced(sample, 'lifecycle.yaml', ['mailDomain: example.com', `mailDomain: ${mailDomain}`]).filter(
        ({ path }) => !/^(applications|roles)\//.test(path),
      ),
      ...applications.map(({ path, text }) => ({ path, text })),
      {
        path: 'roles/everybody.yaml',
        text: JSON.stringify({
          slug: 'everybody',
          name: 'Everybody',
          when: 'employment.worker == "employee"',
          grants: [{ application: 'directory', entitlement: 'staff' }, ...slugs.map((slug) => ({ application: slug }))],
        }),
      },
    ],
    stop: async () => {
      await Promise.allSettled([directory.stop(), mail.stop(), files.stop(), sso?.drop(), vault?.stop()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function application(slug: string, connector: string, more: Readonly<Record<string, unknown>>) {
  const base = { slug, name: slug, connector, mode: 'sync', correlation: { strong: ['externalId'] } };
  return {
    slug,
    path: `applications/${slug}.yaml`,
    text: JSON.stringify({ ...base, sweepTimeout: '10s', ...more }),
  };
}

function ssoPolicy(realm: Realm, secret: (name: string, text: string) => string) {
  return {
    config: {
      product: 'keycloak',
      baseUrl: new URL(realm.url).origin,
      realm: realm.name,
      client: { id: realm.service.clientId, secret: secret('sso', realm.service.secret) },
      attributes: { email: 'email', givenName: 'firstName', familyName: 'lastName', externalId: 'externalId' },
      signIn: { client: realm.app },
    },
    login: 'account.userName',
    attributes: {
      externalId: 'person.id',
      email: 'account.mail',
      givenName: 'person.givenName',
      familyName: 'person.familyName',
    },
    archive: 'disable-only',
    delete: 'delete',
    canaryLogin: CANARY,
    canaryAttributes: { email: `${CANARY}@${mailDomain}`, givenName: 'Tenure', familyName: 'Canary' },
  };
}

function directoryContent({ suffix }: OpenLdap): string {
  return `dn: uid=${CANARY},ou=people,${suffix}
changetype: add
objectClass: inetOrgPerson
uid: ${CANARY}
cn: Canary of the sign-in probe
sn: Canary
`;
}
