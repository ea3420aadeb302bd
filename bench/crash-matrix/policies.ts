import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A person of the matrix is given this at the desk, and an account in the shop. */
const GROUP = 'crew';
const CANARY = 'matrix-canary';

/** A policy on the matrix's two applications alone: everything that a leaver's plan knows, and no waiting between its tiers. */
export function writePolicy(folder: string, samplePolicy: string, targetUrl: string): void {
  mkdirSync(join(folder, 'applications'), { recursive: true });
  mkdirSync(join(folder, 'roles'), { recursive: true });
  const write = (path: string, content: object): void => {
    writeFileSync(join(folder, path), JSON.stringify(content, undefined, 2));
  };
  const lifecycle = readFileSync(join(samplePolicy, 'lifecycle.yaml'), 'utf8')
    .replace(/^archiveAfterDays: .*$/m, 'archiveAfterDays: 0')
    .replace(/^deleteAfterDays: .*$/m, 'deleteAfterDays: 0')
    .replace(/^staysDead: .*$/m, 'staysDead: []');
  writeFileSync(join(folder, 'lifecycle.yaml'), lifecycle);
  write('applications/desk.yaml', { ...application('desk', deskConfig(targetUrl)), ...DESK });
  write('applications/shop.yaml', { ...application('shop', shopConfig(targetUrl)), delete: 'delete' });
  write('roles/everybody.yaml', {
    slug: 'everybody',
    name: 'Everybody',
    when: 'employment.worker == "employee"',
    grants: [{ application: 'desk', entitlement: GROUP }, { application: 'shop' }],
  });
}

function application(slug: string, config: object): object {
  return {
    slug,
    name: slug,
    connector: 'desk',
    config,
    login: 'account.userName',
    attributes: { externalId: 'person.id', displayName: 'person.displayName' },
    correlation: { strong: ['externalId'] },
    // A request that is held keeps its visit for as long as the kill takes.
    sweepTimeout: '4m',
  };
}

const DESK = {
  archive: 'archive',
  delete: 'anonymise',
  handover: {
    ownership: 'manager',
    mail: {
      to: 'manager',
      keepsCopy: false,
      autoReply: { subject: 'No longer here', text: 'Please write to {delegate}.' },
    },
  },
  canaryLogin: CANARY,
};

const user = '/users/{account.id}';

function shopConfig(targetUrl: string): object {
  return {
    baseUrl: `${targetUrl}/shop`,
    ...COMMON,
    operations: { ...COMMON.operations, delete: [{ method: 'DELETE', path: user }] },
  };
}

function deskConfig(targetUrl: string): object {
  const write = (method: string, path: string, body?: object) => [
    { method, path, ...(body === undefined ? {} : { body }) },
  ];
  return {
    baseUrl: `${targetUrl}/desk`,
    ...COMMON,
    accounts: { ...COMMON.accounts, archived: 'item.archived', anonymised: 'item.anonymised' },
    operations: {
      ...COMMON.operations,
      setSecret: write('PATCH', user, { word: 'secret' }),
      seal: write('PATCH', user, { active: false, word: 'secret' }),
      archive: write('POST', `${user}/archive`),
      anonymise: write('POST', `${user}/anonymise`),
    },
    groups: {
      find: { request: { path: '/groups', query: { name: 'group.name' } } },
      id: 'item.name',
      name: 'item.name',
      ofAccount: { request: { path: `${user}/groups` } },
      members: { request: { path: '/groups/{group.id}' } },
      memberId: 'item.id',
      add: write('PUT', '/groups/{group.id}/members/{account.id}'),
      remove: write('DELETE', '/groups/{group.id}/members/{account.id}'),
    },
    sessions: { list: { request: { path: `${user}/sessions` } }, revoke: write('DELETE', `${user}/sessions`) },
    credentials: [
      {
        list: { request: { path: `${user}/keys` } },
        kind: 'item.kind',
        id: 'item.id',
        revoke: write('DELETE', `${user}/keys/{credential.id}`),
      },
    ],
    owned: {
      list: { request: { path: `${user}/things` } },
      id: 'item.id',
      transfer: write('POST', `${user}/things/{owned.id}`, { to: 'heir.id' }),
    },
    signIn: {
      request: { method: 'POST', path: '/sign-in', body: { login: 'login', word: 'secret' } },
      answers: [
        { status: 200, answer: 'accepted' },
        { status: 401, when: 'body.error == "disabled"', answer: 'disabled' },
        { status: 401, when: 'body.error == "bad-credentials"', answer: 'wrong-secret' },
      ],
    },
  };
}

const COMMON = {
  auth: { type: 'none' },
  accounts: { id: 'item.id', login: 'item.login', status: 'item.active' },
  attributes: { externalId: { read: 'item.externalId' }, displayName: { read: 'item.name' } },
  adoptionKey: 'externalId',
  operations: {
    list: { request: { path: '/users' } },
    get: { request: { path: user }, absent: 'status == 404 && body.error == "nobody"' },
    find: {
      login: { request: { path: '/users', query: { login: 'value' } } },
      externalId: { request: { path: '/users', query: { externalId: 'value' } } },
    },
    create: {
      steps: [
        {
          method: 'POST',
          path: '/users',
          body: {
            login: 'login',
            active: 'enabled',
            name: 'attributes.?displayName',
            externalId: 'attributes.?externalId',
          },
        },
      ],
      id: 'body.id',
    },
    enable: [{ method: 'PATCH', path: user, body: { active: true } }],
    disable: [{ method: 'PATCH', path: user, body: { active: false } }],
  },
  requestTimeoutMs: 240_000,
  maxConnections: 50,
};
