import type { Health } from '../connector.js';
import { isConnectorError } from '../errors.js';

/** Tries one small read and says how long it took, or what was wrong. Never throws. */
export async function measureHealth(read: () => Promise<unknown>): Promise<Health> {
  const started = performance.now();
  try {
    await read();
    return { ok: true, latencyMs: performance.now() - started };
  } catch (error) {
    const code = isConnectorError(error) ? error.code : 'UNAVAILABLE';
    return { ok: false, code, latencyMs: performance.now() - started };
  }
}
