import type {
  AccountRef,
  Capabilities,
  Connector,
  Forwarding,
  MutationResult,
  OperationContext,
} from '../../src/connectors/connector.js';
import { ConnectorError } from '../../src/connectors/errors.js';
import type { ConnectorFactory } from '../../src/connectors/registry.js';
import { restFactory } from '../../src/connectors/rest/index.js';

/** The kind of the matrix's applications: the shipped `rest`, and beside it what no REST configuration has words for: leases, and where mail goes. */
export const deskFactory: ConnectorFactory = {
  ...restFactory,
  kind: 'desk',
  create: (application, config, deps) => {
    const rest = restFactory.create(application, config, deps);
    const { baseUrl } = config as { readonly baseUrl: string };
    if (rest.seal === undefined) return rest;
    return { ...rest, capabilities: () => withMore(rest.capabilities()), ...besides(baseUrl) };
  },
};

function withMore(capabilities: Capabilities): Capabilities {
  const { account } = capabilities.objectClasses;
  const more = ['listPrivileges', 'checkIn', 'readForwarding', 'setForwarding'] as const;
  return { ...capabilities, objectClasses: { account: { ...account, operations: [...account.operations, ...more] } } };
}

function besides(baseUrl: string): Partial<Connector> {
  const leases = async (ref: AccountRef, ctx: OperationContext): Promise<number> =>
    (await call<{ readonly count: number }>(ctx, 'GET', `${baseUrl}/users/${ref.nativeId}/leases`)).count;
  const forwarding = async (ref: AccountRef, ctx: OperationContext): Promise<Forwarding | undefined> =>
    (await call<{ readonly forwarding: Forwarding | null }>(ctx, 'GET', `${baseUrl}/users/${ref.nativeId}/forwarding`))
      .forwarding ?? undefined;
  const result = (outcome: MutationResult['outcome'], ref: AccountRef): MutationResult => ({
    outcome,
    ref,
    changed: [],
  });
  return {
    listPrivileges: async (ref, ctx) => ({
      leases: await leases(ref, ctx),
      sessions: 0,
      checkedOut: 0,
      road: 'http:leases',
    }),
    checkIn: async (ref, ctx) => {
      if ((await leases(ref, ctx)) === 0) return result('already-in-state', ref);
      await call(ctx, 'POST', `${baseUrl}/users/${ref.nativeId}/check-in`);
      return result('applied', ref);
    },
    readForwarding: forwarding,
    setForwarding: async (ref, wanted, ctx) => {
      if (JSON.stringify(await forwarding(ref, ctx)) === JSON.stringify(wanted)) return result('already-in-state', ref);
      await call(ctx, 'PUT', `${baseUrl}/users/${ref.nativeId}/forwarding`, { forwarding: wanted });
      return result('applied', ref);
    },
  };
}

async function call<T>(ctx: OperationContext, method: 'GET' | 'POST' | 'PUT', url: string, body?: object): Promise<T> {
  const isWrite = method !== 'GET';
  if (isWrite) await ctx.sentMarker?.();
  const failed = (targetCode?: string): ConnectorError =>
    new ConnectorError({
      code: isWrite ? 'AMBIGUOUS' : 'UNAVAILABLE',
      operation: method,
      sent: isWrite,
      targetCode,
    });
  const headers = { 'content-type': 'application/json' };
  const init = { method, signal: ctx.signal, ...(body === undefined ? {} : { headers, body: JSON.stringify(body) }) };
  const answer = await fetch(url, init).catch(() => {
    throw failed();
  });
  if (!answer.ok) throw failed(String(answer.status));
  return (answer.status === 204 ? undefined : await answer.json()) as T;
}
