import { it } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import { restFactory } from '../../../src/connectors/rest/index.js';
import { Secret } from '../../../src/connectors/secret.js';
import { newContext } from '../kit/checks.js';
import { example } from './example.js';
it('x', () => {
  const out: Record<string, unknown> = {};
  for (const name of ['keycloak']) {
    const c = restFactory.create('x', example(name), { secrets: () => new Secret('x'), logger: newContext().logger });
    out[name] = c.capabilities();
  }
  writeFileSync('src/connectors/rest/capabilities.json', JSON.stringify(out, null, 2) + '\n');
});
