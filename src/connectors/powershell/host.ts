import type { z } from 'zod';
import type { ConnectorLogger, OperationContext } from '../connector.js';
import { ConnectorError, isConnectorError } from '../errors.js';
import type { Secret } from '../secret.js';
import { timeLimit } from '../shared/time-limit.js';
import type { PowershellConfig } from './config.js';
import { SessionPool } from './pool.js';
import type { HostOperation } from './script-sets.js';
import { hostFunctions, scriptSets } from './script-sets.js';

export interface Call<T> {
  /** The connector operation that this is part of, for errors. */
  readonly operation: string;
  readonly command: string;
  readonly arguments?: Readonly<Record<string, unknown>>;
  readonly secrets?: Readonly<Record<string, Secret>>;
  readonly isWrite?: boolean;
  /** What the function must give back. */
  readonly result: z.ZodType<T>;
}

/** Where a call goes: `reading` is a pool of its own, which no write ever uses. */
export type Road = 'writing' | 'reading';

/** The hosts of one application. */
export interface Host {
  /**
   * Calls one function. A function that is not on the list is refused as UNSUPPORTED (`not-allowed`) before any host is asked or
   * started. A write awaits `sentMarker`; from then on what breaks is AMBIGUOUS.
   */
  call<T>(call: Call<T>, ctx: OperationContext, road?: Road): Promise<T>;
  /** The functions that the host says it has. */
  functions(ctx: OperationContext): Promise<readonly string[]>;
  /** Ids of the host processes that run. */
  pids(): readonly number[];
  close(): Promise<void>;
}

/** The allow-list of a configuration: which function does which operation. */
export function operationsOf(config: PowershellConfig): Partial<Readonly<Record<HostOperation, string>>> {
  return config.operations ?? scriptSets[config.scripts]?.operations ?? {};
}

/** Starts nothing: a host starts with the first call. */
export function createHost(
  config: PowershellConfig,
  secrets: Readonly<Record<string, Secret>>,
  logger: ConnectorLogger,
): Host {
  const allowed = [...new Set([...Object.values(operationsOf(config)), ...Object.values(hostFunctions)])];
  const options = {
    ...config.host,
    scripts: config.scripts,
    allowed,
    settings: config.settings,
    secrets,
    startTimeoutMs: config.sessions.startTimeoutMs,
    maxAnswerBytes: config.maxAnswerBytes,
    logger,
  };
  const pools: Readonly<Record<Road, SessionPool>> = {
    writing: new SessionPool(options, config.sessions),
    reading: new SessionPool(options, { ...config.sessions, max: 1 }),
  };
  const startMs = config.sessions.startTimeoutMs;
  return {
    call: async <T>(call: Call<T>, ctx: OperationContext, road: Road = 'writing'): Promise<T> => {
      const { operation, command } = call;
      const isWrite = call.isWrite ?? false;
      if (!allowed.includes(command) || (isWrite && road === 'reading')) {
        throw new ConnectorError({ code: 'UNSUPPORTED', operation, sent: false, targetCode: 'not-allowed' });
      }
      // The wait for a session and its start are not the target's time.
      const outer = timeLimit(ctx, operation, config.timeoutMs + startMs);
      return pools[road].with(operation, outer.signal, async (session) => {
        const { signal } = timeLimit(ctx, operation, config.timeoutMs);
        const request = { command, arguments: call.arguments ?? {}, secrets: call.secrets };
        const sentMarker = ctx.sentMarker === undefined ? undefined : () => ctx.sentMarker?.() ?? Promise.resolve();
        try {
          const result = call.result.safeParse(await session.ask(request, { operation, isWrite, signal, sentMarker }));
          if (result.success) return result.data;
        } catch (error) {
          throw isConnectorError(error) ? inPolicyWords(error, config) : error;
        }
        const code = isWrite ? 'AMBIGUOUS' : 'UNAVAILABLE';
        throw new ConnectorError({ code, operation, sent: isWrite, targetCode: 'unexpected-result' });
      });
    },
    functions: (ctx) => {
      const { signal } = timeLimit(ctx, 'validate', startMs);
      return pools.reading.with('validate', signal, (session) => Promise.resolve(session.functions));
    },
    pids: () => [...pools.writing.pids(), ...pools.reading.pids()],
    close: async () => {
      await Promise.all([pools.writing.close(), pools.reading.close()]);
    },
  };
}

const ownNames = ['login', 'entitlement', 'heir', 'forwarding', 'secret'];

/** A script names a property; an error names the attribute of the policy, or nothing that it was not told to. */
function inPolicyWords(error: ConnectorError, config: PowershellConfig): ConnectorError {
  if (error.attribute === undefined) return error;
  const named = Object.entries(config.attributes).find(([, { property }]) => property === error.attribute)?.[0];
  const attribute = named ?? ownNames.find((name) => name === error.attribute);
  const { code, operation, sent, targetCode, retryAfterMs } = error;
  return new ConnectorError({ code, operation, sent, targetCode, retryAfterMs, attribute });
}
