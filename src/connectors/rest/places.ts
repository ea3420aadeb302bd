import { Place } from './expressions.js';
import type { VariableType } from './expressions.js';

const account = {
  id: 'string',
  login: 'string',
  status: 'string',
  version: 'dyn',
  item: 'dyn',
  attributes: 'map<string, dyn>',
};
const answer = { status: 'int', body: 'dyn', headers: 'map<string, string>' } as const;
const wanted = { login: 'string', attributes: 'map<string, dyn>' } as const;

function place(variables: Readonly<Record<string, VariableType>>): Place {
  return new Place({ values: 'map<string, dyn>', ...variables });
}

/** Which variables an expression sees, by where it stands in the configuration. MAINTENANCE: docs/connectors/rest.md lists them. */
export const places = {
  /** Requests that ask about no particular account. */
  plain: place({}),
  answer: place(answer),
  item: place({ item: 'dyn', headers: 'map<string, string>' }),
  byId: place({ account: { id: 'string' } }),
  /** Lists of what belongs to an account that was read before. */
  ofAccount: place({ account }),
  find: place({ value: 'string' }),
  create: place({ ...wanted, enabled: 'bool', key: 'string', randomText: 'string' }),
  afterCreate: place({ ...wanted, enabled: 'bool', key: 'string', account }),
  update: place({ ...wanted, changes: 'map<string, dyn>', key: 'string', account }),
  write: place({ key: 'string', account }),
  sessions: place({ key: 'string', account, sessions: 'list<dyn>' }),
  secret: place({ key: 'string', account, secret: 'string' }),
  groupByName: place({ group: { name: 'string' } }),
  group: place({ group: { id: 'string', name: 'string', item: 'dyn' } }),
  member: place({ key: 'string', account, group: { id: 'string', name: 'string', item: 'dyn' } }),
  credential: place({ key: 'string', account, credential: { id: 'string', kind: 'string', item: 'dyn' } }),
  owned: place({
    key: 'string',
    account,
    owned: { id: 'string', item: 'dyn' },
    heir: { id: 'string', login: 'string', item: 'dyn' },
  }),
  signIn: place({ login: 'string', secret: 'string', secrets: 'map<string, string>' }),
  signedIn: place({ ...answer, secrets: 'map<string, string>' }),
  signature: place({
    method: 'string',
    host: 'string',
    path: 'string',
    query: 'string',
    body: 'string',
    bodySha256: 'string',
    timestamp: 'string',
    epochSeconds: 'string',
    nonce: 'string',
    keyId: 'string',
  }),
  signed: place({ signature: 'string', keyId: 'string', timestamp: 'string', epochSeconds: 'string', nonce: 'string' }),
} as const satisfies Readonly<Record<string, Place>>;

export type PlaceName = keyof typeof places;
