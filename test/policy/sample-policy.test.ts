import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { manualFactory } from '../../src/connectors/manual/index.js';
import { createRegistry } from '../../src/connectors/registry.js';
import { scimFactory } from '../../src/connectors/scim/index.js';
import { sqlFactory } from '../../src/connectors/sql/index.js';
import { compilePolicy } from '../../src/domain/policy/compile.js';
import { POLICY_FILE_KINDS, policyFileKind, policyJsonSchema } from '../../src/domain/policy/schemas.js';
import type { PolicyFileKind } from '../../src/domain/policy/schemas.js';
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
