import type { Connector, MutationResult } from '../../../src/connectors/connector.js';
import { createShippedRegistry } from '../../../src/connectors/kinds.js';
import type { ConnectorRegistry } from '../../../src/connectors/registry.js';
import type { PolicyFiles } from '../../../src/domain/policy/types.js';
import { MemoryTarget, createMemoryConnector } from '../../connectors/memory-connector.js';
import type { MemoryAccount } from '../../connectors/memory-connector.js';

/** What the desk may pretend to do; each says `applied` and leaves at least a part of it undone. */
export type Lie =
  | 'seal'
  /** Closes the account and keeps the secret that it had. */
  | 'keepSecret'
  /** Reads as closed and lets in all the same. */
  | 'letIn'
  | 'revokeSessions'
  | 'revokeCredentials'
  /** Takes the second factor and keeps the key. */
  | 'keepKey'
  | 'removeMember'
  | 'checkIn'
  | 'transferOwned'
  | 'setForwarding'
  /** Forwards, and answers nobody. */
  | 'autoReply'
  | 'archive'
  | 'anonymise'
  | 'delete';

/** A service desk that knows of everything a leaver may leave behind, in memory, with its state open to the tests. It lies when told to. */
export interface Desk {
  readonly target: MemoryTarget;
  readonly registry: ConnectorRegistry;
  /** From now on these say `applied` and do nothing. */
  lie(...operations: readonly Lie[]): void;
  /** The account of somebody, by the beginning of the login. */
  accountOf(loginStart: string): MemoryAccount;
  /** Second factors, an open session, two leases and two things that are owned. */
  fill(loginStart: string): void;
}

export function createDesk(): Desk {
  const target = new MemoryTarget();
  const lies = new Set<Lie>();
  const shipped = createShippedRegistry();
  const connector = demanding(target, lying(target, createMemoryConnector(target, 'desk'), lies));
  const accountOf = (loginStart: string): MemoryAccount => {
    const found = [...target.accounts.values()].find((account) => account.login.startsWith(loginStart));
    if (found === undefined) throw new Error(`the desk has no ${loginStart}`);
    return found;
  };
  return {
    target,
    accountOf,
    registry: {
      ...shipped,
      create: (kind, application, config, deps) =>
        kind === 'memory' ? connector : shipped.create(kind, application, config, deps),
    },
    lie(...operations) {
      lies.clear();
      for (const operation of operations) lies.add(operation);
    },
    fill(loginStart) {
      const account = accountOf(loginStart);
      account.credentials.add('otp').add('api-key');
      target.openSession(account.login);
      account.privileges = 2;
      account.owned = 2;
    },
  };
}

function lying(target: MemoryTarget, honest: Connector, lies: ReadonlySet<Lie>): Connector {
  const said = (ref: MutationResult['ref']): MutationResult => ({ outcome: 'applied', ref, changed: [] });
  const unless = async (lie: Lie, ref: MutationResult['ref'], act: () => Promise<MutationResult> | undefined) =>
    lies.has(lie) ? said(ref) : ((await act()) ?? said(ref));
  return {
    ...honest,
    seal: async (ref, secret, ctx) => {
      if (lies.has('seal')) return { ...said(ref), atomic: true };
      if (lies.has('keepSecret')) return { ...((await honest.disable?.(ref, ctx)) ?? said(ref)), atomic: true };
      return (await honest.seal?.(ref, secret, ctx)) ?? { ...said(ref), atomic: true };
    },
    probeSignIn: async (login, secret, ctx) => {
      const answer = await honest.probeSignIn!(login, secret, ctx);
      return lies.has('letIn') && answer.answer === 'disabled'
        ? { ...answer, answer: 'accepted', code: '200' }
        : answer;
    },
    revokeSessions: (ref, ctx) => unless('revokeSessions', ref, () => honest.revokeSessions?.(ref, ctx)),
    removeMember: (group, ref, ctx) => unless('removeMember', ref, () => honest.removeMember?.(group, ref, ctx)),
    archive: (ref, ctx) => unless('archive', ref, () => honest.archive?.(ref, ctx)),
    proveDelivery: async (ref, to, ctx) => {
      const proof = await honest.proveDelivery!(ref, to, ctx);
      return lies.has('autoReply') ? { ...proof, replied: false } : proof;
    },
    revokeCredentials: async (ref, ctx) => {
      const result = await unless('revokeCredentials', ref, () => honest.revokeCredentials?.(ref, ctx));
      if (lies.has('keepKey')) target.accounts.get(ref.nativeId)?.credentials.add('api-key');
      return result;
    },
    checkIn: (ref, ctx) => unless('checkIn', ref, () => honest.checkIn?.(ref, ctx)),
    transferOwned: (ref, heir, ctx) => unless('transferOwned', ref, () => honest.transferOwned?.(ref, heir, ctx)),
    setForwarding: (ref, to, ctx) => unless('setForwarding', ref, () => honest.setForwarding?.(ref, to, ctx)),
    anonymise: (ref, ctx) => unless('anonymise', ref, () => honest.anonymise?.(ref, ctx)),
    delete: (ref, ctx) => unless('delete', ref, () => honest.delete?.(ref, ctx)),
  };
}

/** As some targets do, this one lets nobody in whose account lacks what it asks of each: here a title. */
function demanding(target: MemoryTarget, honest: Connector): Connector {
  return {
    ...honest,
    probeSignIn: async (login, secret, ctx) => {
      const account = [...target.accounts.values()].find((one) => one.login === login);
      if (account !== undefined && typeof account.attributes['title'] !== 'string')
        return { answer: 'unknown', code: 'not-fully-set-up', road: 'memory:sign-in' };
      if (honest.probeSignIn === undefined) throw new Error('the memory connector signs in');
      return honest.probeSignIn(login, secret, ctx);
    },
  };
}

const DESK = `
slug: desk
name: Service desk
connector: memory
config: {}
mode: sync
login: account.userName
attributes:
  externalId: person.id
  displayName: person.displayName
  title: person.department
correlation: { strong: [externalId] }
archive: none
delete: anonymise
handover:
  ownership: manager
  mail:
    to: manager
    keepsCopy: false
    autoReply: { subject: No longer here, text: '{name} has left. Please write to {delegate}.' }
canaryLogin: desk-canary
canaryAttributes: { title: Canary }
`;

/** Everybody has an account at the desk, and at nothing else that hands anything over; nobody's hands are needed. */
export function withDesk(files: PolicyFiles): PolicyFiles {
  const policy = files.map((file) => ({
    ...file,
    text: file.path.endsWith('all-staff.yaml')
      ? file.text.replace('  - { application: badge }\n', '  - { application: desk }\n')
      : file.text,
  }));
  return [...policy, { path: 'applications/desk.yaml', text: DESK }];
}
