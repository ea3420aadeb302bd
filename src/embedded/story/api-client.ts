import { setTimeout as delay } from 'node:timers/promises';
import type { z } from 'zod';
import { StackError, errorText } from '../errors.js';

export interface ApiClientOptions {
  readonly url: string;
  /** Aborted when the person wants to stop. */
  readonly signal: AbortSignal;
  /** How long the API may be away before we give up. */
  readonly patienceMs: number;
}

/** The API answered with a problem (4xx): repeating the request would not help. */
export class ApiRefusal extends Error {
  override readonly name = 'ApiRefusal';
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const CALL_TIMEOUT_MS = 15_000;
const PAUSE_MS = 250;

/**
 * The story's way to the API: what does not get through (the API or a server behind it is being started again) is sent again until it does. Every request of
 * the story may be repeated: HR events are idempotent, and what was decided stays decided.
 */
export class ApiClient {
  readonly #options: ApiClientOptions;

  constructor(options: ApiClientOptions) {
    this.#options = options;
  }

  get<T>(token: string, path: string, schema: z.ZodType<T>): Promise<T> {
    return this.#persistently(path, () => this.#call(token, path, { method: 'GET' }, schema));
  }

  post<T>(token: string, path: string, body: unknown, schema: z.ZodType<T>): Promise<T> {
    const headers = { 'content-type': 'application/json' };
    return this.#persistently(path, () =>
      this.#call(token, path, { method: 'POST', headers, body: JSON.stringify(body) }, schema),
    );
  }

  /** All items of a list, page by page. */
  async list<T>(
    token: string,
    path: string,
    schema: z.ZodType<{ readonly items: readonly T[]; readonly next: string | null }>,
  ): Promise<readonly T[]> {
    const items: T[] = [];
    let after: string | null = '';
    while (after !== null) {
      const join = path.includes('?') ? '&' : '?';
      const from: string = after === '' ? '' : `&after=${encodeURIComponent(after)}`;
      const page = await this.get(token, `${path}${join}limit=200${from}`, schema);
      items.push(...page.items);
      after = page.next;
    }
    return items;
  }

  async #call<T>(token: string, path: string, init: RequestInit, schema: z.ZodType<T>): Promise<T> {
    const response = await fetch(`${this.#options.url}${path}`, {
      ...init,
      headers: { ...init.headers, authorization: `Bearer ${token}` },
      signal: AbortSignal.any([this.#options.signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]),
    });
    const body: unknown = await response.json();
    if (response.ok) return schema.parse(body);
    const { title } = (typeof body === 'object' && body !== null ? body : {}) as { readonly title?: unknown };
    const text = `${path} answered ${response.status}${typeof title === 'string' ? `: ${title}` : ''}`;
    if (response.status >= 500 || response.status === 429) throw new Error(text);
    throw new ApiRefusal(response.status, text);
  }

  async #persistently<T>(path: string, call: () => Promise<T>): Promise<T> {
    const until = performance.now() + this.#options.patienceMs;
    for (;;) {
      try {
        return await call();
      } catch (error) {
        this.#options.signal.throwIfAborted();
        if (error instanceof ApiRefusal || isUnreadable(error)) throw error;
        if (performance.now() > until)
          throw new StackError(
            `The API did not answer ${path} for ${this.#options.patienceMs / 1000} seconds (${errorText(error)}).`,
            'Its log and those of the other children are in the folder logs below TENURE_HOME.',
            { cause: error },
          );
        await delay(PAUSE_MS, undefined, { signal: this.#options.signal });
      }
    }
  }
}

/** An answer of another shape than expected will not change by asking again. */
function isUnreadable(error: unknown): boolean {
  return error instanceof Error && error.name === 'ZodError';
}
