import { describe, expect, it } from '@jest/globals';
import { connectorOperations } from '../../src/connectors/connector.js';
import { scimFactory } from '../../src/connectors/scim/index.js';
import type { QuirkFlags } from '../../src/connectors/scim/quirks.js';
import { quirkNames, quirkProfiles } from '../../src/connectors/scim/quirks.js';
import { Secret } from '../../src/connectors/secret.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';

/** The committed variant of each flag, alone; most change what is sent and not what can be done. */
const ofFlag: Readonly<Record<keyof QuirkFlags, readonly (readonly [QuirkFlags, string])[]>> = {
  putOnly: [[{ putOnly: true }, 'groups']],
  activeAsText: [[{ activeAsText: true }, 'groups']],
  opCase: [[{ opCase: 'title' }, 'groups']],
  patchWithoutPath: [[{ patchWithoutPath: true }, 'groups']],
  groupWrite: (['patch', 'put', 'user'] as const).map((groupWrite) => [{ groupWrite }, 'groups'] as const),
  memberFilter: [[{ memberFilter: false }, 'groups']],
  adoptBy: [
    [{ adoptBy: 'nickName' }, 'adoptedByAttribute'],
    [{ adoptBy: 'login' }, 'adoptedByLogin'],
  ],
  startIndex: [[{ startIndex: false }, 'groups']],
  rename: [[{ rename: false }, 'withoutRename']],
  deleteDeactivates: [[{ deleteDeactivates: true }, 'withoutDelete']],
  rateHeaders: [[{ rateHeaders: true }, 'groups']],
};

const ofProfile: Readonly<Record<keyof typeof quirkProfiles, string>> = {
  'salesforce-style': 'withoutDelete',
  'slack-style': 'withoutDelete',
  'zoom-style': 'adoptedByLoginWithoutRename',
  'github-style': 'groups',
  'atlassian-style': 'withoutDelete',
};

const cases = [
  ['as the RFCs say', undefined, 'groups'] as const,
  ...Object.values(ofFlag)
    .flat()
    .map(([flags, variant]) => [JSON.stringify(flags), flags, variant] as const),
  ...Object.entries(ofProfile).map(([name, variant]) => [name, name, variant] as const),
];

/** What a connector of this configuration declares, and which of the operations it has. */
function probe(quirks: unknown) {
  const config = { baseUrl: 'https://x.test/v2', token: 'env:T', ...(quirks === undefined ? {} : { quirks }) };
  const connector = scimFactory.create('x', config, { secrets: () => new Secret('x'), logger: newContext().logger });
  const methods = connectorOperations.filter((operation) => typeof connector[operation] === 'function');
  return { capabilities: connector.capabilities(), methods, close: () => connector.close() };
}

describe('capabilities of scim by quirk', () => {
  it.each(cases)('%s', async (_name, quirks, variant) => {
    const { capabilities, methods, close } = probe(quirks);
    await close();
    const committed = committedCapabilities('scim', variant);
    expect(capabilities).toEqual(committed);
    expect(methods.toSorted()).toEqual(committed.objectClasses.account.operations.toSorted());
  });

  it('leaves no flag and no profile out', () => {
    expect(Object.keys(ofFlag).toSorted()).toEqual([...quirkNames].toSorted());
    expect(Object.keys(ofProfile).toSorted()).toEqual(Object.keys(quirkProfiles).toSorted());
  });

  it('tells the variants apart', () => {
    const variants = [...new Set(cases.map(([, , variant]) => variant))];
    const texts = variants.map((variant) => JSON.stringify(committedCapabilities('scim', variant)));
    expect(new Set(texts).size).toBe(variants.length);
    expect(probe('zoom-style').capabilities).not.toEqual(committedCapabilities('scim', 'groups'));
  });
});
