import type { Connector, MutationResult, OperationContext } from '../../src/connectors/connector.js';

/**
 * Targets that do not tell the truth, as wrappers of honest connectors, for tests of verification and evidence. (The
 * sandbox SCIM server can lie too, on the wire: see Behaviour in src/embedded/targets/scim-target.ts.)
 */
export type Lie =
  /** Answers writes with success and does nothing. */
  | 'does-nothing'
  /** Reports disabled and lets the sign-in through. */
  | 'signs-in-anyway'
  /** Answers every sign-in with "wrong secret", also with the right one. */
  | 'hides-the-reason';

const writes = [
  'create',
  'update',
  'disable',
  'enable',
  'delete',
  'archive',
  'addMember',
  'removeMember',
  'revokeSessions',
  'setSecret',
] as const;

/** Wraps a connector so that it lies; what it does not lie about stays true. `isLying` can switch it on later. */
export function createLiar(inner: Connector, lie: Lie, isLying: () => boolean = () => true): Connector {
  switch (lie) {
    case 'does-nothing':
      return { ...inner, ...pretendedWrites(inner, isLying) };
    case 'signs-in-anyway':
      return {
        ...inner,
        probeSignIn: async (login, secret, ctx) => {
          const answer = await requireProbe(inner)(login, secret, ctx);
          return isLying() && answer.answer === 'disabled' ? { ...answer, answer: 'accepted', code: '200' } : answer;
        },
      };
    case 'hides-the-reason':
      return {
        ...inner,
        probeSignIn: async (login, secret, ctx) => {
          const answer = await requireProbe(inner)(login, secret, ctx);
          return isLying() ? { ...answer, answer: 'wrong-secret', code: '401 bad-credentials' } : answer;
        },
      };
  }
}

function requireProbe(inner: Connector): NonNullable<Connector['probeSignIn']> {
  if (inner.probeSignIn === undefined) {
    throw new Error('this lie needs a connector that can probe sign-ins');
  }
  return inner.probeSignIn.bind(inner);
}

function pretendedWrites(inner: Connector, isLying: () => boolean): Partial<Connector> {
  const pretend = (operation: (typeof writes)[number] | 'seal') => {
    const honest = inner[operation] as ((...args: unknown[]) => Promise<MutationResult>) | undefined;
    return honest === undefined
      ? undefined
      : async (...args: unknown[]): Promise<MutationResult & { atomic?: boolean }> => {
          if (!isLying()) {
            return honest.apply(inner, args);
          }
          await (args.at(-1) as OperationContext).sentMarker?.();
          const ref = args.find((arg) => typeof arg === 'object' && arg !== null && 'nativeId' in arg);
          const made = { application: 'x', objectClass: 'account', nativeId: 'never-made' };
          const answer = { outcome: 'applied', ref: ref ?? made, changed: [] } as unknown as MutationResult;
          return operation === 'seal' ? { ...answer, atomic: true } : answer;
        };
  };
  const entries = [...writes, 'seal' as const].map((operation) => [operation, pretend(operation)] as const);
  return Object.fromEntries(entries.filter(([, method]) => method !== undefined));
}
