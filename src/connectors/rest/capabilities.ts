import type { Capabilities, ConnectorOperation } from '../connector.js';
import type { RestConfig } from './config.js';

/** What a configuration makes possible: data only, no request. */
export function restCapabilities(config: RestConfig): Capabilities {
  const { operations: ops } = config;
  const list = (isThere: boolean, ...names: ConnectorOperation[]): readonly ConnectorOperation[] =>
    isThere ? names : [];
  const canSeal = ops.seal !== undefined || (ops.setSecret !== undefined && ops.disable !== undefined);
  const operations = [
    ...list(true, 'list', 'get', 'find'),
    ...list(ops.create !== undefined, 'create'),
    ...list(ops.update !== undefined, 'update'),
    ...list(ops.disable !== undefined, 'disable'),
    ...list(ops.enable !== undefined, 'enable'),
    ...list(ops.delete !== undefined, 'delete'),
    ...list(ops.archive !== undefined, 'archive'),
    ...list(canSeal, 'seal'),
    ...list(config.groups !== undefined, 'listMembers', 'addMember', 'removeMember'),
    ...list(config.sessions !== undefined, 'listSessions', 'revokeSessions'),
    ...list(ops.setSecret !== undefined, 'setSecret', 'resetCredentials'),
    ...list(config.credentials !== undefined, 'listCredentials', 'revokeCredentials'),
    ...list(config.owned !== undefined, 'listOwned', 'transferOwned'),
    ...list(ops.anonymise !== undefined, 'anonymise'),
    ...list(config.signIn !== undefined, 'probeSignIn'),
    ...list(true, 'verify'),
  ];
  return {
    objectClasses: {
      account: { operations, findBy: Object.keys(ops.find).filter((name) => name !== 'login') },
    },
    signInProbe: config.signIn !== undefined,
    atomicSeal: ops.seal !== undefined,
    entitlements: config.groups !== undefined,
    rename: config.rename,
    sessions: config.sessions !== undefined,
    archive: ops.archive !== undefined,
    consistencyWindowMs: config.consistencyWindowMs,
    ...(config.adoptionKey === undefined ? {} : { adoptionKey: config.adoptionKey }),
  };
}
