import { describe, expect, it } from '@jest/globals';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findViolations, layerRules, readSources } from './layers.js';
import type { LayerRule, SourceText } from './layers.js';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** For each rule, files that break it and nothing else may break; two ways where one could be missed. */
const planted: Readonly<Record<LayerRule, readonly SourceText[]>> = {
  'domain imports nothing outside domain': [
    file('src/domain/plan/planted.ts', `import { migrate } from '../../db/migrate.js';\nexport const a = migrate;`),
    file('src/domain/planted.ts', `import { readFileSync } from 'node:fs';\nexport const a = readFileSync;`),
    file('src/domain/planted.ts', `import type { Pool } from 'pg';\nexport type A = Pool;`),
    file('src/domain/planted.ts', `export { loadConfig } from '../config.js';`),
  ],
  'domain/process imports nothing at all': [
    file('src/domain/process/planted.ts', `import { Temporal } from 'temporal-polyfill';\nexport const a = Temporal;`),
    file('src/domain/process/planted.ts', `import type { A } from '../ledger/types.js';\nexport type B = A;`),
  ],
  'domain has no clock': [
    file('src/domain/planted.ts', `export const a = () => new Date();`),
    file('src/domain/planted.ts', `export const a = () => Date.now();`),
  ],
  'workflows import the SDK only': [
    file('src/workflows/planted.ts', `import { randomUUID } from 'node:crypto';\nexport const a = randomUUID;`),
    file('src/workflows/planted.ts', `import { z } from 'zod';\nexport const a = z;`),
  ],
  'workflows see domain/process only': [
    file('src/workflows/lib/planted.ts', `import { a } from '../../domain/plan/plan.js';\nexport const b = a;`),
    file('src/workflows/planted.ts', `import type { A } from '../domain/ledger/types.js';\nexport type B = A;`),
  ],
  'workflows know activities as types': [
    file('src/workflows/planted.ts', `import { sweep } from '../activities/sweep.js';\nexport const a = sweep;`),
  ],
  'workflows reach nothing else': [
    file('src/workflows/planted.ts', `import { a } from '../db/schema.js';\nexport const b = a;`),
    file('src/workflows/planted.ts', `import { loadConfig } from '../config.js';\nexport const a = loadConfig;`),
  ],
  'workflow code stays in workflows': [
    file('src/activities/planted.ts', `import { sleep } from '@temporalio/workflow';\nexport const a = sleep;`),
    file(
      'src/api/planted.ts',
      `import { joinerWorkflow } from '../workflows/joiner.js';\nexport const a = joinerWorkflow;`,
    ),
  ],
  'activities know nothing above them': [
    file('src/activities/planted.ts', `import { a } from '../api/main.js';\nexport const b = a;`),
    file('src/activities/planted.ts', `import { loadConfig } from '../config.js';\nexport const a = loadConfig;`),
  ],
  'a connector never imports another': [
    file('src/connectors/scim/planted.ts', `import { a } from '../sql/index.js';\nexport const b = a;`),
    file(
      'src/connectors/sql/planted.ts',
      `import type { A } from '../../connectors/scim/index.js';\nexport type B = A;`,
    ),
  ],
  'connectors know the domain only': [
    file(
      'src/connectors/scim/planted.ts',
      `import { heartbeat } from '@temporalio/activity';\nexport const a = heartbeat;`,
    ),
    file('src/connectors/planted.ts', `import { a } from '../db/schema.js';\nexport const b = a;`),
    file('src/connectors/shared/planted.ts', `import { a } from '../../activities/sweep.js';\nexport const b = a;`),
  ],
  'connectors are used through the registry': [
    file('src/activities/planted.ts', `import { a } from '../connectors/scim/index.js';\nexport const b = a;`),
    file('src/api/planted.ts', `import { a } from '../connectors/sql/index.js';\nexport const b = a;`),
  ],
  'db knows the domain only': [
    file('src/db/planted.ts', `import { a } from '../activities/deps.js';\nexport const b = a;`),
    file('src/db/repositories/planted.ts', `import { a } from '../../connectors/registry.js';\nexport const b = a;`),
  ],
  'shared services know nothing above them': [
    file('src/planning/planted.ts', `import { a } from '../activities/deps.js';\nexport const b = a;`),
    file('src/policy/planted.ts', `import { loadConfig } from '../config.js';\nexport const a = loadConfig;`),
    file('src/hr/csv/planted.ts', `import { Client } from '@temporalio/client';\nexport const a = Client;`),
  ],
  'api does not touch targets': [
    file('src/api/planted.ts', `import { a } from '../activities/sweep.js';\nexport const b = a;`),
    file('src/api/people/planted.ts', `import { a } from '../../worker/main.js';\nexport const b = a;`),
  ],
  'worker and api are apart': [
    file('src/worker/planted.ts', `import { a } from '../api/main.js';\nexport const b = a;`),
  ],
  'cli talks to the api': [
    file('src/cli/planted.ts', `import { a } from '../activities/deps.js';\nexport const b = a;`),
    file('src/cli/planted.ts', `import { Client } from '@temporalio/client';\nexport const a = Client;`),
  ],
  'nest in api alone': [
    file('src/worker/planted.ts', `import { Injectable } from '@nestjs/common';\nexport const a = Injectable;`),
    file('src/activities/planted.ts', `import fastify from 'fastify';\nexport const a = fastify;`),
  ],
  'embedded is on top': [
    file('src/api/planted.ts', `import { startStack } from '../embedded/supervisor.js';\nexport const a = startStack;`),
  ],
  'process.env in config only': [
    file('src/api/planted.ts', `export const a = () => process.env['X'];`),
    file('src/embedded/planted.ts', `const { env } = process;\nexport const a = () => env['X'];`),
  ],
  'validators are synchronous': [
    file('src/workflows/planted.ts', `export const a = { validator: async () => undefined };`),
    file('src/workflows/planted.ts', `export const a = { async validator() {} };`),
  ],
  'activities are proxied in one place': [
    file(
      'src/workflows/planted.ts',
      `import { proxyActivities } from '@temporalio/workflow';\nexport const a = proxyActivities({});`,
    ),
    file(
      'src/workflows/lib/planted.ts',
      `import { proxyLocalActivities } from '@temporalio/workflow';\nexport const a = proxyLocalActivities({});`,
    ),
  ],
};

/** What looks close to a violation and is none. */
const allowed: readonly SourceText[] = [
  file(
    'src/workflows/planted.ts',
    `import type { Activities } from '../activities/index.js';\nexport type A = Activities;`,
  ),
  file('src/workflows/lib/planted.ts', `import { brand } from '../../domain/process/ids.js';\nexport const a = brand;`),
  file(
    'src/workflows/lib/activities.ts',
    `import { proxyActivities } from '@temporalio/workflow';\nexport const a = proxyActivities({});`,
  ),
  file(
    'src/api/planted.ts',
    `import { a } from '../workflows/messages.js';\nimport { b } from '../connectors/registry.js';\nexport const c = [a, b];`,
  ),
  file(
    'src/connectors/scim/planted.ts',
    `import { a } from '../shared/compare.js';\nimport { b } from '../errors.js';\nexport const c = [a, b];`,
  ),
  file('src/connectors/registry.ts', `import { a } from './scim/index.js';\nexport const b = a;`),
  file(
    'src/domain/planted.ts',
    `import { Temporal } from 'temporal-polyfill';\nexport const a = (t: number) => [Temporal, new Date(t)];`,
  ),
  file('src/worker/planted.ts', `import { onStop } from '../embedded/child.js';\nexport const a = onStop;`),
  file('src/config.ts', `export const a = () => process.env['X'];`),
];

describe('the layers', () => {
  it('hold in the sources', () => {
    const sources = readSources(root, 'src');
    expect(sources.length).toBeGreaterThan(50);
    expect(findViolations(sources).map(({ rule, path, what }) => `${path} ${what} (${rule})`)).toEqual([]);
  });

  it.each(layerRules)('a planted violation is found: %s', (rule) => {
    for (const source of planted[rule]) expect(rulesOf(source)).toContain(rule);
  });

  it('what only looks like a violation is left alone', () => {
    expect(findViolations(allowed)).toEqual([]);
  });
});

describe('the lint rules', () => {
  const samples = layerRules.flatMap((rule) => planted[rule].map((source) => ({ rule, source })));
  const boundaryRules = ['@typescript-eslint/no-restricted-imports', 'no-restricted-syntax'];
  const found = lint([...samples.map(({ source }) => source), ...allowed]);

  it.each(samples.map((sample, index) => ({ ...sample, index, first: sample.source.text.split('\n')[0] })))(
    'show it while one types: $rule: $first',
    ({ index }) => {
      const messages = found[index]?.filter(({ ruleId }) => ruleId !== null && boundaryRules.includes(ruleId)) ?? [];
      expect(messages).not.toEqual([]);
      // A message that a person understands: a sentence of ours follows ESLint's own.
      for (const { message } of messages) expect(message).toMatch(/\w{3,} \w+.*\.$/);
    },
  );

  it('leave alone what only looks like a violation', () => {
    const rest = found
      .slice(samples.length)
      .map((messages) => messages.filter(({ ruleId }) => boundaryRules.includes(ruleId ?? '')));
    expect(rest).toEqual(allowed.map(() => []));
  });
});

function file(path: string, text: string): SourceText {
  return { path, text: `${text}\n` };
}

function rulesOf(source: SourceText): readonly LayerRule[] {
  return findViolations([source]).map(({ rule }) => rule);
}

function lint(
  sources: readonly SourceText[],
): readonly (readonly { readonly ruleId: string | null; readonly message: string }[])[] {
  const output = execFileSync(process.execPath, [join(root, 'test', 'architecture', 'lint-texts.mjs')], {
    input: JSON.stringify(sources),
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const results = JSON.parse(output) as readonly {
    readonly messages: readonly { readonly ruleId: string | null; readonly message: string }[];
  }[];
  return results.map(({ messages }) => messages);
}
