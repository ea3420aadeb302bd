import { isDeepStrictEqual } from 'node:util';

/** Stands in a script for what an earlier call of the same script gave: a handle of an open file. */
export class ResultOf {
  constructor(readonly call: number) {}
}

/** One call of a client library, with its arguments as they were given. */
export interface Call {
  readonly method: string;
  readonly args: readonly unknown[];
  /** The call whose result this one was made on; undefined: the client itself. */
  readonly on: number | undefined;
  /** The connector expected that this might be refused, and it was. */
  readonly isRefused: boolean;
}

/** Calls that were on their way together; the next batch began when all of these had been answered. */
export type Batch = readonly Call[];
export type Script = readonly Batch[];

/** What tells one account from another in arguments: its login, the step's key and the target's own id. */
export interface Account {
  readonly login: string;
  readonly key: string;
  /** Undefined before the account is there. */
  readonly id: string | undefined;
  /** Other forms of the id: the bytes of a GUID. */
  readonly forms: readonly Buffer[];
}

/** A short id (a row's number) is only itself; a long one is found inside texts, too. */
const FOUND_INSIDE = 12;

/** The same script for another account. Values are replaced, shapes stay: objects keep their classes. */
export function scriptFor(script: Script, from: Account, to: Account): Script {
  const replaced = new Map<string, string>();
  for (const name of ['login', 'key', 'id'] as const) {
    const [old, fresh] = [from[name], to[name]];
    if (old !== undefined && fresh !== undefined) replaced.set(old, fresh);
  }
  // All at once: what one of them has put in is not looked at again.
  const inside = new RegExp(
    [...replaced.keys()]
      .filter((old) => old.length >= FOUND_INSIDE)
      .map(escaped)
      .join('|') || '(?!)',
    'g',
  );
  const text = (value: string): string =>
    replaced.get(value) ?? value.replace(inside, (old) => replaced.get(old) ?? old);
  const bytes = (value: Buffer): Buffer => {
    const at = from.forms.findIndex((form) => form.equals(value));
    return to.forms[at] ?? value;
  };
  return script.map((batch) =>
    batch.map((call) => ({ ...call, args: call.args.map((arg) => rewritten(arg, text, bytes)) })),
  );
}

/** True when the script cannot be made for an account whose id is not known yet. */
export function mentions(script: Script, id: string): boolean {
  let found = false;
  const look = (value: string): string => {
    found ||= id.length < FOUND_INSIDE ? value === id : value.includes(id);
    return value;
  };
  for (const call of script.flat()) for (const arg of call.args) rewritten(arg, look, (value) => value);
  return found;
}

/** Method names in order: what one operation costs on the wire. */
export function shapeOfScript(script: Script): readonly string[] {
  return script.flatMap((batch) => batch.map(({ method }) => method));
}

export function hasSameShape(left: Script, right: Script): boolean {
  return isDeepStrictEqual(
    left.map((batch) => batch.map(({ method, on }) => [method, on])),
    right.map((batch) => batch.map(({ method, on }) => [method, on])),
  );
}

function rewritten(value: unknown, text: (value: string) => string, bytes: (value: Buffer) => Buffer): unknown {
  if (typeof value === 'string') return text(value);
  if (Buffer.isBuffer(value)) return bytes(value);
  if (Array.isArray(value)) return value.map((item) => rewritten(item, text, bytes));
  if (typeof value !== 'object' || value === null || value instanceof ResultOf) return value;
  if (ArrayBuffer.isView(value) || value instanceof Date) return value;
  const entries = Object.entries(value).map(([name, item]) => [name, rewritten(item, text, bytes)] as const);
  return Object.assign(
    Object.create(Object.getPrototypeOf(value) as object | null) as object,
    Object.fromEntries(entries),
  );
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
