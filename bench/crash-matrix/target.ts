import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { randomUUID } from 'node:crypto';
import type { LeaverKind, Moment } from './cells.js';
import { APPLICATION_OF } from './cells.js';
import type { Effect } from './judge.js';

interface Account {
  readonly id: string;
  /** Whose it is, also when it says so no longer. */
  readonly person: string;
  login: string;
  name: string | null;
  externalId: string | null;
  active: boolean;
  password: string | undefined;
  archived: boolean;
  anonymised: boolean;
  readonly groups: Set<string>;
  readonly sessions: Set<string>;
  readonly keys: Set<string>;
  readonly things: Set<string>;
  leases: number;
  forwarding: unknown;
}

export interface Where {
  /** Of the account: Tenure's own id of the person. */
  readonly person: string;
  readonly kind: LeaverKind;
  readonly moment: Moment;
}

/** A request that the target holds at one moment of one operation, once. */
export interface Held extends Where {
  readonly reached: Promise<void>;
  /** `drop`: what has not got in never does. */
  release(how: 'go-on' | 'drop'): void;
}

interface Gate extends Where {
  state: 'waiting' | 'answered' | 'reached';
  reach(): void;
  readonly released: Promise<'go-on' | 'drop'>;
}

interface Ask {
  readonly method: string;
  /** Path without the application. */
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
}

interface Reply {
  readonly status: number;
  readonly body?: unknown;
}

interface Write {
  readonly account: Account;
  readonly operation: string;
  /** Acts; whether anybody could tell. */
  act(): boolean;
  reply(): Reply;
}

const NO_CONTENT: Reply = { status: 204 };
const NOBODY: Reply = { status: 404, body: { error: 'nobody' } };

/**
 * The target of the crash matrix: two applications over HTTP, in the process that kills and so never killed itself. It counts what it does, and holds a request at
 * the very moment that it was told, until it is told to go on: no clock is asked whether something was before, during or after.
 */
export class MatrixTarget {
  readonly effects: Effect[] = [];
  readonly #accounts = new Map<string, Account>();
  readonly #gates = new Set<Gate>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer((request, response) => {
      void this.#serve(request, response);
    });
    this.#server.keepAliveTimeout = 60_000;
    this.#server.requestTimeout = 0;
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Holds the next request of that moment. */
  hold(where: Where): Held {
    const [reached, reach] = signal<void>();
    const [released, release] = signal<'go-on' | 'drop'>();
    this.#gates.add({ ...where, state: 'waiting', reach: () => reach(), released });
    return { ...where, reached, release };
  }

  /** What somebody leaves behind at the desk: a session, a key, a lease and a thing. */
  fill(person: string): void {
    const account = [...this.#accounts.values()].find((one) => one.person === person && one.id.startsWith('desk-'));
    if (account === undefined) throw new Error('nobody to fill the desk for');
    account.sessions.add(randomUUID());
    account.keys.add(randomUUID());
    account.things.add(randomUUID());
    account.leases = 1;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://target');
    const [, application = '', ...path] = url.pathname.split('/').map(decodeURIComponent);
    const ask: Ask = { method: request.method ?? 'GET', path, query: url.searchParams, body: await bodyOf(request) };
    const write = ask.method === 'GET' ? undefined : this.#writeOf(application, ask);
    if (write === undefined) {
      await this.#hold('answered', (gate) => isQuestion(gate, application, ask, this.#accounts));
      return send(response, ask.method === 'GET' ? this.#read(application, ask) : this.#other(application, ask));
    }
    const { account, operation } = write;
    const isOf = (moment: Moment) => (gate: Gate) =>
      gate.moment === moment && gate.person === account.person && gate.kind === operation;
    if ((await this.#hold('waiting', isOf('before'))) === 'drop') return void request.socket.destroy();
    this.effects.push({ person: account.person, application, operation, isVisible: write.act() });
    const reply = write.reply();
    await this.#hold('waiting', isOf('during'));
    response.once('finish', () => {
      for (const gate of this.#gates) if (gate.state === 'waiting' && isOf('after')(gate)) gate.state = 'answered';
    });
    send(response, reply);
  }

  /** Stops at the gate that the request is at, where there is one. */
  async #hold(state: Gate['state'], isAt: (gate: Gate) => boolean): Promise<'go-on' | 'drop'> {
    const gate = [...this.#gates].find((one) => one.state === state && isAt(one));
    if (gate === undefined) return 'go-on';
    gate.state = 'reached';
    gate.reach();
    return gate.released;
  }

  #ofApplication(application: string): readonly Account[] {
    return [...this.#accounts.values()].filter((account) => account.id.startsWith(`${application}-`));
  }

  #read(application: string, { path, query }: Ask): Reply {
    const [area, id = '', list] = path;
    if (area === 'groups') {
      const members = this.#ofApplication(application).filter((account) => account.groups.has(id));
      return { status: 200, body: id === '' ? named([query.get('name') ?? '']) : members.map(shown) };
    }
    if (id === '') {
      const fits = (account: Account): boolean =>
        ['login', 'externalId'].every((name) => {
          const wanted = query.get(name);
          return wanted === null || account[name as 'login' | 'externalId'] === wanted;
        });
      return { status: 200, body: this.#ofApplication(application).filter(fits).map(shown) };
    }
    const account = this.#accounts.get(id);
    if (account === undefined) return NOBODY;
    switch (list) {
      case undefined:
        return { status: 200, body: shown(account) };
      case 'groups':
        return { status: 200, body: named([...account.groups]) };
      case 'sessions':
        return { status: 200, body: ided(account.sessions) };
      case 'keys':
        return { status: 200, body: ided(account.keys).map((key) => ({ ...key, kind: 'api-key' })) };
      case 'things':
        return { status: 200, body: ided(account.things) };
      case 'leases':
        return { status: 200, body: { count: account.leases } };
      case 'forwarding':
        return { status: 200, body: { forwarding: account.forwarding ?? null } };
      default:
        return NOBODY;
    }
  }

  /** What is asked with a body and writes nothing for a person that the matrix is about. */
  #other(application: string, { path, body }: Ask): Reply {
    if (path[0] === 'sign-in') {
      const account = this.#ofApplication(application).find((one) => one.login === body['login']);
      if (account?.password === undefined || account.password !== body['word'])
        return { status: 401, body: { error: 'bad-credentials' } };
      return account.active ? { status: 200, body: {} } : { status: 401, body: { error: 'disabled' } };
    }
    if (path[0] === 'users' && path.length === 1) {
      const account = created(application, body);
      this.#accounts.set(account.id, account);
      this.effects.push({ person: account.person, application, operation: 'create', isVisible: true });
      return { status: 201, body: shown(account) };
    }
    return NOBODY;
  }

  #writeOf(application: string, { method, path, body }: Ask): Write | undefined {
    const [area, first = '', what, third] = path;
    const id = area === 'groups' ? (third ?? '') : first;
    const account = this.#accounts.get(id);
    if (account === undefined || !id.startsWith(`${application}-`)) return undefined;
    const write = (operation: string, act: () => boolean): Write => ({
      account,
      operation,
      act,
      reply: () => NO_CONTENT,
    });
    if (area === 'groups')
      return method === 'PUT'
        ? write('add-entitlement', () => added(account.groups, first))
        : write('remove-entitlement', () => account.groups.delete(first));
    switch (`${method} ${what ?? ''}`) {
      case 'PATCH ':
        return write(patchKind(body), () => patched(account, body));
      case 'DELETE ':
        return write('delete', () => this.#accounts.delete(id));
      case 'DELETE sessions':
        return write('revoke-sessions', () => emptied(account.sessions));
      case 'DELETE keys':
        return write('revoke-credentials', () => account.keys.delete(third ?? ''));
      case 'POST things':
        return write('transfer-ownership', () => this.#transfer(account, third ?? '', String(body['to'])));
      case 'POST check-in':
        return write('check-in', () => {
          account.leases = 0;
          return true;
        });
      case 'PUT forwarding':
        return write('set-forwarding', () => {
          account.forwarding = body['forwarding'];
          return true;
        });
      case 'POST archive':
        return write('archive', () => turnedOn(account, 'archived'));
      case 'POST anonymise':
        return write('anonymise', () => madeAnonymous(account));
      default:
        return undefined;
    }
  }

  /** Every transfer that is asked for is a receipt to the heir, whether or not the thing was still there. */
  #transfer(from: Account, thing: string, to: string): boolean {
    from.things.delete(thing);
    this.#accounts.get(to)?.things.add(thing);
    return true;
  }
}

/** Whether a read is the proof of what the gate waits behind: the operation's own list, else the account itself. */
function isQuestion(gate: Gate, application: string, ask: Ask, accounts: ReadonlyMap<string, Account>): boolean {
  if (gate.moment !== 'after' || ask.method !== 'GET' || APPLICATION_OF[gate.kind] !== application) return false;
  const [area, id = '', list] = ask.path;
  if (area !== 'users') return false;
  // A deleted account is known by its gate alone: nobody else asks for an account that is not there.
  const account = accounts.get(id);
  if (account === undefined ? gate.kind !== 'delete' : account.person !== gate.person) return false;
  return list === PROOF_LISTS[gate.kind];
}

const PROOF_LISTS: Readonly<Partial<Record<LeaverKind, string>>> = {
  'revoke-sessions': 'sessions',
  'revoke-credentials': 'keys',
  'check-in': 'leases',
  'remove-entitlement': 'groups',
  'transfer-ownership': 'things',
  'set-forwarding': 'forwarding',
};

function created(application: string, body: Ask['body']): Account {
  const externalId = textOf(body['externalId']);
  return {
    id: `${application}-${randomUUID()}`,
    person: externalId ?? textOf(body['login']) ?? '',
    login: textOf(body['login']) ?? '',
    name: textOf(body['name']),
    externalId,
    active: body['active'] === true,
    password: undefined,
    archived: false,
    anonymised: false,
    groups: new Set(),
    sessions: new Set(),
    keys: new Set(),
    things: new Set(),
    leases: 0,
    forwarding: undefined,
  };
}

function shown({ id, login, name, externalId, active, archived, anonymised }: Account): object {
  return { id, login, name, externalId, active, archived, anonymised };
}

function patchKind(body: Ask['body']): string {
  if (body['active'] === true) return 'enable';
  if (body['active'] === false) return body['word'] === undefined ? 'disable' : 'seal';
  return body['word'] === undefined ? 'update' : 'set-secret';
}

/** Another secret is visible, also of a disabled account; the same one is not. */
function patched(account: Account, body: Ask['body']): boolean {
  const { active, password } = account;
  if (typeof body['active'] === 'boolean') account.active = body['active'];
  account.password = textOf(body['word']) ?? password;
  return account.active !== active || account.password !== password;
}

function madeAnonymous(account: Account): boolean {
  const isNew = turnedOn(account, 'anonymised');
  Object.assign(account, { login: account.id, name: null, externalId: null, active: false });
  return isNew;
}

function turnedOn(account: Account, flag: 'archived' | 'anonymised'): boolean {
  const before = account[flag];
  account[flag] = true;
  return !before;
}

function added(set: Set<string>, value: string): boolean {
  const isNew = !set.has(value);
  set.add(value);
  return isNew;
}

function emptied(set: Set<string>): boolean {
  const had = set.size > 0;
  set.clear();
  return had;
}

function ided(values: ReadonlySet<string>): readonly { readonly id: string }[] {
  return [...values].map((id) => ({ id }));
}

function named(names: readonly string[]): readonly { readonly name: string }[] {
  return names.map((name) => ({ name }));
}

function textOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

function signal<T>(): [Promise<T>, (value: T) => void] {
  let give: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => {
    give = resolve;
  });
  return [promise, give];
}

async function bodyOf(request: IncomingMessage): Promise<Ask['body']> {
  let text = '';
  for await (const part of request) text += String(part);
  return text === '' ? {} : (JSON.parse(text) as Ask['body']);
}

function send(response: ServerResponse, { status, body }: Reply): void {
  response.writeHead(status, body === undefined ? {} : { 'content-type': 'application/json' });
  response.end(body === undefined ? undefined : JSON.stringify(body));
}
