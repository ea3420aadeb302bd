import type { OperationContext } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { Secret } from '../secret.js';
import type { HttpTls, Send } from '../shared/http/client.js';
import { HttpClient } from '../shared/http/client.js';
import type { Json, JsonObject } from '../shared/http/json.js';
import { asObject } from '../shared/http/json.js';

/** Exit codes of doveadm (sysexits.h and Dovecot's own) that mean "there is no such thing". */
const EX_NOUSER = 67;
const EX_NOTFOUND = 68;

/** One mailbox, and anything that could be a mask or an option is not one. */
const ADDRESS = /^[^\s*?%"\\/\x00-\x1f-][^\s*?%"\\/\x00-\x1f]{0,254}$/;

export function isAddress(text: string): boolean {
  return ADDRESS.test(text);
}

/** Dovecot's administration over HTTP: one command per request. */
export class Doveadm {
  readonly #http: HttpClient;
  readonly #url: string;

  constructor(baseUrl: string, key: Secret, timeoutMs: number, tls: HttpTls | undefined) {
    this.#url = `${baseUrl}/doveadm/v1`;
    this.#http = new HttpClient({
      timeoutMs,
      ...(tls === undefined ? {} : { tls }),
      authorize: () =>
        Promise.resolve({ authorization: `X-Dovecot-API ${Buffer.from(key.reveal()).toString('base64')}` }),
    });
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  /** Reads on a connection of its own: the road of verification. */
  onOwnConnection<T>(work: (send: Send) => Promise<T>): Promise<T> {
    return this.#http.onOwnConnection(work);
  }

  /** Every mailbox that Dovecot's user databases name. */
  async users(operation: string, ctx: OperationContext): Promise<readonly string[]> {
    const answer = await this.#run('user', { userMask: ['*'] }, operation, ctx, { write: false });
    const list = asObject(answer)['userList'];
    return Array.isArray(list) ? list.filter((name): name is string => typeof name === 'string') : [];
  }

  async hasUser(address: string, operation: string, ctx: OperationContext, send?: Send): Promise<boolean> {
    if (!isAddress(address)) return false;
    const answer = await this.#run('user', { userMask: [address] }, operation, ctx, { write: false, send });
    return answer !== undefined;
  }

  /** The connections of one mailbox, as Dovecot's anvil counts them. */
  async connections(address: string, operation: string, ctx: OperationContext): Promise<number> {
    const rows = await this.#run('who', { mask: [address] }, operation, ctx, { write: false });
    const list: readonly Json[] = Array.isArray(rows) ? (rows as readonly Json[]) : [];
    return list.reduce<number>((sum, row) => {
      const { username, connections } = asObject(row);
      return sum + (username === address ? Number(connections) : 0);
    }, 0);
  }

  async kick(address: string, operation: string, ctx: OperationContext): Promise<void> {
    await this.#run('kick', { mask: [address] }, operation, ctx, { write: true });
  }

  /** Undefined: the dictionary has no such key. */
  async read(
    dict: string,
    key: string,
    operation: string,
    ctx: OperationContext,
    send?: Send,
  ): Promise<string | undefined> {
    const rows = await this.#run('dictGet', { dictUri: dict, key }, operation, ctx, { write: false, send });
    const value = Array.isArray(rows) ? asObject((rows as readonly Json[])[0])['value'] : undefined;
    return typeof value === 'string' ? value : undefined;
  }

  async write(
    dict: string,
    key: string,
    value: string | undefined,
    operation: string,
    ctx: OperationContext,
  ): Promise<void> {
    const parameters = { dictUri: dict, key, ...(value === undefined ? {} : { value }) };
    await this.#run(value === undefined ? 'dictUnset' : 'dictSet', parameters, operation, ctx, { write: true });
  }

  /** How many messages of a mailbox's INBOX carry a header with this value. */
  async countByHeader(
    address: string,
    header: string,
    value: string,
    ctx: OperationContext,
  ): Promise<number | undefined> {
    if (!(await this.hasUser(address, 'proveDelivery', ctx))) return undefined;
    const query = ['mailbox', 'INBOX', 'header', header, value];
    const rows = await this.#run('search', { user: address, query }, 'proveDelivery', ctx, { write: false });
    return Array.isArray(rows) ? rows.length : 0;
  }

  /** The data of a command's answer; undefined when it says that there is no such user or key. */
  async #run(
    command: string,
    parameters: JsonObject,
    operation: string,
    ctx: OperationContext,
    { write, send = this.#http.send }: { readonly write: boolean; readonly send?: Send | undefined },
  ): Promise<Json | undefined> {
    const call = { operation, method: 'POST', url: this.#url, body: [[command, parameters, 't']], write } as const;
    const { body } = await send(call, ctx);
    const first: readonly Json[] = Array.isArray(body) && Array.isArray(body[0]) ? (body[0] as readonly Json[]) : [];
    if (first[0] === 'doveadmResponse') return first[1];
    const exitCode = asObject(first[1])['exitCode'];
    if (first[0] === 'error' && (exitCode === EX_NOUSER || exitCode === EX_NOTFOUND)) return undefined;
    const targetCode = `doveadm-${typeof exitCode === 'number' ? exitCode : 'answer'}`;
    throw new ConnectorError({ code: write ? 'AMBIGUOUS' : 'UNAVAILABLE', operation, sent: write, targetCode });
  }
}
