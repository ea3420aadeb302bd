import { describe, expect, it } from '@jest/globals';
import { createRegistry } from '../../src/connectors/registry.js';
import { discover } from '../../src/onboarding/discover.js';
import { subjectOf } from '../../src/onboarding/subject.js';
import { testApplication } from '../../src/onboarding/test-application.js';
import { createShippedRegistry } from '../../src/connectors/kinds.js';
import { connectorChecks } from '../../src/policy/connector-checks.js';
import { memoryFactory } from '../connectors/memory-connector.js';

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
const tools = {
  deps: {
    secrets: () => {
      throw new Error('no secret is needed');
    },
    logger: quiet,
  },
  prepare: () => Promise.resolve(),
  signal: new AbortController().signal,
  progress: () => undefined,
};

async function canaryFindings(...lines: readonly string[]) {
  const registry = createRegistry([memoryFactory]);
  const text = [
    'slug: desk',
    'name: Desk',
    'connector: memory',
    "config: { url: 'https://desk.example' }",
    'login: account.userName',
    'attributes: { displayName: person.displayName, externalId: person.id }',
    'correlation: { strong: [externalId], weak: [login] }',
    ...lines,
  ].join('\n');
  const subject = subjectOf({ path: 'applications/desk.yaml', text }, [], connectorChecks(registry));
  const report = await testApplication(subject, { ...tools, registry });
  return report.findings
    .filter((one) => one.check === 'canary')
    .map(({ severity, code, expected }) => ({ severity, code, expected }));
}

describe('the test of an application', () => {
  it('says before the first cut what the target will ask of the canary', async () => {
    const lacking = { severity: 'warning', code: 'canary-lacks', expected: 'canaryAttributes: { displayName: … }' };
    expect(await canaryFindings('canaryLogin: tenure-canary')).toEqual([lacking]);
    expect(
      await canaryFindings('canaryLogin: tenure-canary', 'canaryAttributes: { displayName: Canary }'),
    ).toMatchObject([{ severity: 'info', code: 'canary-not-there' }]);
    expect(await canaryFindings()).toMatchObject([{ severity: 'warning', code: 'no-canary' }]);
  });
});

describe('the discovery of an application', () => {
  it('names every part of the configuration that the connector needs first', async () => {
    const text = 'slug: intranet\nconnector: ldap\nconfig: { url: ldaps://directory.example.com, password: exop }\n';
    const found = await discover(
      { path: 'applications/intranet.yaml', text },
      { ...tools, registry: createShippedRegistry() },
    );
    expect(found).toMatchObject({ ok: false, isFileWrong: true });
    const message = found.ok ? '' : found.message;
    for (const path of ['attributes', 'bind', 'accounts'])
      expect(message).toMatch(new RegExp(`^  config\\.${path}: is missing`, 'm'));
    expect(message).toContain('docs/connectors/ldap.md');
  });
});
