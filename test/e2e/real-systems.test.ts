import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { RunInfo } from '../../src/embedded/supervisor.js';
import { ensureBuild } from '../support/build.js';
import { parseLdif, systemEnvironment } from '../systems/debian.js';
import { reasonToSkipKeycloak } from '../systems/keycloak.js';
import { reasonToSkipOpenLdap } from '../systems/openldap.js';
import { reasonToSkipSftp } from '../systems/sftp.js';
import { expectedDirectory } from './support/expected.js';
import { Home } from './support/stack-process.js';

const TIMEOUT_MS = 900_000;
const reasons = (await Promise.all([reasonToSkipOpenLdap(), reasonToSkipSftp()])).filter((one) => one !== undefined);

const noKeycloak = await reasonToSkipKeycloak();
const skipped = [...reasons, ...(noKeycloak === undefined ? [] : [noKeycloak])];
const title = ['npm start with the systems of this machine', ...skipped.map((one) => `skipped: ${one}`)].join('; ');
const expectedSso = { 'nina.justesen': true, 'peter.jespersen': true, 'jamel.reilly': false, 'billy.wilkinson': false };

/** The oracles are the products' own clients and files, never Tenure. */
(reasons.length === 0 ? describe : describe.skip)(title, () => {
  let home: Home;
  beforeAll(async () => {
    await ensureBuild();
    home = await Home.make('auto');
  });
  afterAll(() => home?.remove());

  it(
    'says which is real, proves the story there, and the systems themselves show the people',
    async () => {
      const run = home.start();
      await run.says('Tenure is up', 800_000);
      expect(run.output).toContain('Everything due now is done and proven');
      expect(run.output).toMatch(/directory +OpenLDAP slapd [\d.]+ \(real\)/);
      expect(run.output).toMatch(/payroll +OpenSSH sshd \S+ \(real\)/);
      const info = await home.info();
      const people = await inDirectory(info);
      for (const [number, { userName, groups }] of Object.entries(expectedDirectory)) {
        expect([number, people[number]]).toEqual([number, { userName, groups }]);
      }
      const rows = (await readFile(join(accessOf(info, 'payroll')['drop'] ?? '', 'accounts.csv'), 'utf8')).split('\n');
      expect(rows.find((row) => row.includes(';jamel.reilly;'))).toContain(';inactive;');
      expect(rows.find((row) => row.includes(';nina.justesen;'))).toContain(';active;');
      expect(noKeycloak === undefined).toBe(/sso +Keycloak [\d.]+ \(real\)/.test(run.output));
      if (noKeycloak === undefined) expect(await inSso(info)).toMatchObject(expectedSso);
      expect(await run.end('SIGTERM')).toBe(0);
    },
    TIMEOUT_MS,
  );

  it(
    'a second start picks them up and provisions nothing',
    async () => {
      const again = home.start('--exit');
      expect({ code: await again.exits(600_000), output: again.output }).toMatchObject({ code: 0 });
      expect(again.output).toMatch(/directory +OpenLDAP slapd [\d.]+ \(real\)/);
      expect(again.output).toContain('HR feed: 11 duplicate, 1 rejected');
    },
    TIMEOUT_MS,
  );
});

function accessOf(info: RunInfo, slug: string): Readonly<Record<string, string>> {
  return info.sandbox.systems.find((one) => one.slug === slug)?.access ?? {};
}

/** User names of the realm, and whether they are enabled, as the server's administrator sees them. */
async function inSso(info: RunInfo): Promise<Readonly<Record<string, boolean>>> {
  const { url = '', realm = '', adminUser = '', adminPassword = '' } = accessOf(info, 'sso');
  const form = { grant_type: 'password', client_id: 'admin-cli', username: adminUser, password: adminPassword };
  const body = new URLSearchParams(form);
  const answer = await fetch(`${url}/realms/master/protocol/openid-connect/token`, { method: 'POST', body });
  const { access_token: token } = (await answer.json()) as { readonly access_token: string };
  const headers = { authorization: `Bearer ${token}` };
  const users = (await (await fetch(`${url}/admin/realms/${realm}/users?max=100`, { headers })).json()) as {
    readonly username: string;
    readonly enabled: boolean;
  }[];
  return Object.fromEntries(users.map(({ username, enabled }) => [username, enabled]));
}

async function inDirectory(info: RunInfo) {
  const { url = '', ca = '', suffix = '', adminDn = '', adminPassword = '' } = accessOf(info, 'directory');
  const args = ['-LLL', '-o', 'ldif-wrap=no', '-x', '-H', url, '-D', adminDn, '-w', adminPassword, '-b', suffix];
  const env = { ...systemEnvironment, LDAPTLS_CACERT: ca };
  const { stdout } = await promisify(execFile)('ldapsearch', [...args, '(employeeNumber=48*)', '*', 'memberOf'], {
    env,
  });
  return Object.fromEntries(
    parseLdif(stdout).map(({ values }) => [
      values['employeenumber']?.[0] ?? '',
      {
        userName: values['uid']?.[0],
        groups: (values['memberof'] ?? []).map((dn) => /^cn=([^,]+)/.exec(dn)?.[1] ?? '').sort(),
      },
    ]),
  );
}
