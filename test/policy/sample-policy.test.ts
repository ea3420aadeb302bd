import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { createShippedRegistry } from '../../src/connectors/kinds.js';
import { manualFactory } from '../../src/connectors/manual/index.js';
import { createRegistry } from '../../src/connectors/registry.js';
import { scimFactory } from '../../src/connectors/scim/index.js';
import { sqlFactory } from '../../src/connectors/sql/index.js';
import { compilePolicy } from '../../src/domain/policy/compile.js';
import { POLICY_FILE_KINDS, policyFileKind, policyJsonSchema } from '../../src/domain/policy/schemas.js';
import type { PolicyFileKind } from '../../src/domain/policy/schemas.js';
import { filledIn, writeOverlays } from '../../src/embedded/systems/policy-overlay.js';
import type { Overlay } from '../../src/embedded/systems/policy-overlay.js';
import { connectorChecks } from '../../src/policy/connector-checks.js';
import { loadPolicyFiles } from '../../src/policy/load.js';
import { writePolicySchemas } from '../../src/policy/write-schemas.js';

const files = await loadPolicyFiles('policy');

describe('the sample company', () => {
  it('compiles without a problem', () => {
    const result = compilePolicy(files);
    expect(result.ok ? [] : result.problems).toEqual([]);
  });

  it('has configurations that every connector accepts', () => {
    const connectors = connectorChecks(createRegistry([scimFactory, sqlFactory, manualFactory]));
    const result = compilePolicy(files, { connectors });
    expect(result.ok ? [] : result.problems).toEqual([]);
  });

  it('names its schema in the first line of every file, for editors', () => {
    for (const file of files) {
      const up = file.path.includes('/') ? '../' : '';
      const schema = `${up}schemas/${policyFileKind(file.path)}.json`;
      expect([file.path, file.text.split('\n')[0]]).toEqual([file.path, `# yaml-language-server: $schema=${schema}`]);
    }
    expect(files.length).toBeGreaterThan(8);
  });
});

describe('what real systems of the machine bring', () => {
  const overlays: readonly Overlay[] = [
    { name: 'slapd', values: { LDAP_URL: 'ldaps://127.0.0.1:1', LDAP_CA: 'file:/ca', LDAP_PASSWORD: 'file:/secret' } },
    { name: 'keycloak', values: { KEYCLOAK_URL: 'http://127.0.0.1:1', KEYCLOAK_SECRET: 'file:/secret' } },
    {
      name: 'sshd',
      values: {
        SFTP_PORT: 22,
        SFTP_USER: 'nobody',
        SFTP_KEY: 'file:/key',
        SFTP_HOST_KEY: `SHA256:${'A'.repeat(43)}`,
        PAYROLL_FOLDER: '/drop "of" payroll',
      },
    },
    { name: 'folder', values: { PAYROLL_FOLDER: '/drop' } },
  ];
  const laidOver = async (chosen: readonly Overlay[]) => {
    const folder = await mkdtemp(join(tmpdir(), 'tenure-overlay-'));
    try {
      await writeOverlays('policy', folder, chosen);
      return await loadPolicyFiles('policy', folder);
    } finally {
      await rm(folder, { recursive: true });
    }
  };
  const connectors = connectorChecks(createShippedRegistry());

  it.each([[[]], ...overlays.map((one) => [[one]]), [overlays.slice(0, 3)]])(
    'compiles with every system alone and with all: %#',
    async (chosen) => {
      const result = compilePolicy(await laidOver(chosen), { connectors });
      expect(result.ok ? [] : result.problems).toEqual([]);
    },
  );

  it('takes the place of the file of the same path, and adds the others', async () => {
    const merged = await laidOver(overlays.slice(0, 3));
    expect(merged.filter(({ path }) => path === 'applications/directory.yaml')).toEqual([
      expect.objectContaining({ text: expect.stringContaining('connector: ldap') }),
    ]);
    expect(merged.map(({ path }) => path)).toEqual(expect.arrayContaining(['applications/sso.yaml', 'roles/sso.yaml']));
  });

  it('refuses a name that no system gives', () => {
    expect(() => filledIn("url: '${LDAP_PORT}'", {})).toThrow('LDAP_PORT');
  });
});

describe('published JSON Schemas', () => {
  const committed = (kind: PolicyFileKind): Promise<string> => readFile(`policy/schemas/${kind}.json`, 'utf8');

  it.each(POLICY_FILE_KINDS)(
    '%s.json is what the code checks; write it again with writePolicySchemas',
    async (kind) => {
      const directory = await mkdtemp(join(tmpdir(), 'tenure-schemas-'));
      try {
        await writePolicySchemas(directory);
        const made: unknown = JSON.parse(await readFile(join(directory, `${kind}.json`), 'utf8'));
        expect(JSON.parse(await committed(kind))).toEqual(made);
      } finally {
        await rm(directory, { recursive: true });
      }
    },
  );

  it('notices a schema that fell behind', async () => {
    const old = (await committed('role')).replace('"cutAtNotice"', '"cutOnNotice"');
    expect(JSON.parse(old)).not.toEqual(policyJsonSchema('role'));
  });
});
