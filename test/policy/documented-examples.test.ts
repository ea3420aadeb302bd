import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { createShippedRegistry } from '../../src/connectors/kinds.js';
import { subjectOf } from '../../src/onboarding/subject.js';
import { connectorChecks } from '../../src/policy/connector-checks.js';

/** What a newcomer copies has to be publishable: the examples of the pages and the complete files for `rest`, through the whole check of a policy. */
const checks = connectorChecks(createShippedRegistry());

interface Example {
  readonly name: string;
  readonly text: string;
}

const pages = readdirSync('docs/connectors').flatMap((page): readonly Example[] => {
  const blocks = [...readFileSync(`docs/connectors/${page}`, 'utf8').matchAll(/```yaml\n(.*?)```/gs)];
  return blocks
    .map(([, text = '']) => ({ name: page, text }))
    .filter(({ text }) => /^connector:/m.test(text) && /^config:/m.test(text));
});
const rest = readdirSync('test/connectors/rest')
  .filter((file) => file.endsWith('.yaml'))
  .map((file): Example => {
    const config = readFileSync(`test/connectors/rest/${file}`, 'utf8').replaceAll(/^(?=.)/gm, '  ');
    return { name: file, text: `connector: rest\nconfig:\n${config}` };
  });

/** The example as a file of a policy: what every application has is added, and the dots that stand for fingerprints are filled in. */
function problemsOf({ text }: Example): readonly string[] {
  const added = Object.entries({ slug: 'example', name: 'Example', mode: 'sync', login: 'account.userName' })
    .filter(([key]) => !new RegExp(`^${key}:`, 'm').test(text))
    .map(([key, value]) => `${key}: ${value}\n`);
  const filled = text
    .replaceAll('4F:…', '4F:'.repeat(32).slice(0, -1))
    .replaceAll('SHA256:…', `SHA256:${'A'.repeat(43)}`);
  const file = { path: 'applications/example.yaml', text: `${added.join('')}${filled}` };
  return subjectOf(file, [], checks).problems.map((one) => `${one.line} ${one.path}: ${one.message}`);
}

describe('every documented application', () => {
  it('is there: a page for each kind that has a configuration', () => {
    expect(new Set(pages.map(({ name }) => name)).size).toBeGreaterThanOrEqual(10);
    expect(rest.length).toBeGreaterThanOrEqual(5);
  });

  it.each([...pages, ...rest])('$name is right as it stands', (example) => {
    expect(problemsOf(example)).toEqual([]);
  });

  it.each([
    ['a literal in a request', 'password: secret', `password: '"hunter2-marker"'`],
    ['a value in the service account', 'clientSecret: env:KEYCLOAK_SECRET', 'clientSecret: hunter2-marker'],
    ['a constant', 'values: { realm: corp', 'values: { token: hunter2-marker, realm: corp'],
  ])('is refused with a secret in clear text: %s', (_what, from, to) => {
    const page = pages.find(({ name }) => name === 'rest.md');
    expect(page?.text).toContain(from);
    const found = problemsOf({ name: 'rest.md', text: (page?.text ?? '').replace(from, to) });
    expect(found.join('\n')).toContain('clear text');
    expect(found.join('\n')).not.toContain('hunter2');
  });
});
