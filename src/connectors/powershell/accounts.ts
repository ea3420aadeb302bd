import type {
  AccountRef,
  Attributes,
  AttributeValue,
  CorrelationKey,
  ListQuery,
  ObservedAccount,
  OperationContext,
  Page,
} from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { AttributeConfig, PowershellConfig } from './config.js';
import type { Host, Road } from './host.js';
import { operationsOf } from './host.js';
import type { HostAccount } from './protocol.js';
import { resultSchemas } from './protocol.js';
import type { HostOperation } from './script-sets.js';

export interface PowershellContext {
  readonly application: string;
  readonly config: PowershellConfig;
  readonly host: Host;
}

export function requireAccount(objectClass: string, operation: string): void {
  if (objectClass !== 'account') throw new ConnectorError({ code: 'UNSUPPORTED', operation, sent: false });
}

/** The function of an operation; a method whose function is not configured is not there to be called. */
export function commandOf(shell: PowershellContext, operation: HostOperation): string {
  const command = operationsOf(shell.config)[operation];
  if (command === undefined) throw new ConnectorError({ code: 'UNSUPPORTED', operation, sent: false });
  return command;
}

export function refOf(shell: PowershellContext, nativeId: string): AccountRef {
  return { application: shell.application, objectClass: 'account', nativeId };
}

/** The properties that a read asks for. */
const propertiesOf = (shell: PowershellContext): readonly string[] =>
  Object.values(shell.config.attributes).map(({ property }) => property);

/** A value of the wrong type is shown as it is: a comparison then names it. PowerShell shows a list of one as its only value. */
function valueOf(value: AttributeValue | undefined, { type }: AttributeConfig): AttributeValue {
  if (value === undefined || value === null) return null;
  if (type !== 'strings') return value;
  return Array.isArray(value) ? (value as readonly string[]) : [String(value)];
}

function observe(shell: PowershellContext, seen: HostAccount): ObservedAccount {
  const attributes: Record<string, AttributeValue> = {};
  for (const [name, attribute] of Object.entries(shell.config.attributes)) {
    const value = valueOf(seen.properties[attribute.property], attribute);
    if (value !== null) attributes[name] = value;
  }
  return {
    ref: refOf(shell, seen.nativeId),
    login: seen.login,
    status: seen.status,
    attributes,
    entitlements: seen.entitlements ?? undefined,
    ...(typeof seen.version === 'string' ? { version: seen.version } : {}),
  };
}

/** Undefined when the target says that there is no such account. An answer about another one is UNAVAILABLE. */
export async function readAccount(
  shell: PowershellContext,
  ref: AccountRef,
  operation: string,
  ctx: OperationContext,
  road?: Road,
): Promise<ObservedAccount | undefined> {
  requireAccount(ref.objectClass, operation);
  const args = { nativeId: ref.nativeId, properties: propertiesOf(shell) };
  const command = commandOf(shell, 'get');
  const seen = await shell.host.call({ operation, command, arguments: args, result: resultSchemas.account }, ctx, road);
  if (seen === undefined || seen === null) return undefined;
  if (seen.nativeId.toLowerCase() !== ref.nativeId.toLowerCase()) {
    throw new ConnectorError({ code: 'UNAVAILABLE', operation, sent: false, targetCode: 'other-account' });
  }
  return { ...observe(shell, seen), ref };
}

export async function needAccount(
  shell: PowershellContext,
  ref: AccountRef,
  operation: string,
  ctx: OperationContext,
): Promise<ObservedAccount> {
  const seen = await readAccount(shell, ref, operation, ctx);
  if (seen === undefined) throw new ConnectorError({ code: 'NOT_FOUND', operation, sent: false, ref });
  return seen;
}

/** One page in the order of native ids; the cursor is the last one. */
export async function listAccounts(
  shell: PowershellContext,
  query: ListQuery,
  ctx: OperationContext,
): Promise<Page<ObservedAccount>> {
  const operation = 'list';
  requireAccount(query.objectClass, operation);
  const args = { size: query.pageSize, after: query.cursor ?? null, properties: propertiesOf(shell) };
  const call = { operation, command: commandOf(shell, operation), arguments: args, result: resultSchemas.page };
  const { accounts, more } = await shell.host.call(call, ctx);
  const last = accounts.at(-1)?.nativeId;
  if (accounts.length > query.pageSize || (more && (last === undefined || last === query.cursor))) {
    throw new ConnectorError({ code: 'UNAVAILABLE', operation, sent: false, targetCode: 'wrong-page' });
  }
  const items = accounts.map((seen) => observe(shell, seen));
  return more && last !== undefined ? { items, complete: false, next: last } : { items, complete: true };
}

/** Accounts whose login or configured attribute of type string has exactly this value. */
export async function findAccounts(
  shell: PowershellContext,
  by: CorrelationKey,
  ctx: OperationContext,
  operation = 'find',
): Promise<readonly ObservedAccount[]> {
  const attribute = shell.config.attributes[by.attribute];
  if (by.attribute !== 'login' && attribute?.type !== 'string') {
    throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: by.attribute });
  }
  const args = {
    // Undefined: the login, whatever the target calls it.
    property: by.attribute === 'login' ? null : attribute?.property,
    value: by.value,
    properties: propertiesOf(shell),
  };
  const call = { operation, command: commandOf(shell, 'find'), arguments: args, result: resultSchemas.accounts };
  return (await shell.host.call(call, ctx)).accounts.map((seen) => observe(shell, seen));
}

/** Raises INVALID for an attribute that is not configured or not writable, or a value that is not of its type. */
export function checkAttributes(shell: PowershellContext, attributes: Attributes, operation: string): void {
  for (const [name, value] of Object.entries(attributes)) {
    const known = shell.config.attributes[name];
    const isEmpty = value === null || value === '' || (Array.isArray(value) && value.length === 0);
    const fits = isEmpty || (known?.type === 'strings' ? Array.isArray(value) : typeof value === known?.type);
    if (known === undefined || !known.writable || !fits || (isEmpty && known.required)) {
      throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute: name });
    }
  }
}

/** What a write hands to the script: properties by name; null takes a value away. */
export function toProperties(shell: PowershellContext, attributes: Attributes): Record<string, AttributeValue> {
  const properties: Record<string, AttributeValue> = {};
  for (const [name, value] of Object.entries(attributes)) {
    const attribute = shell.config.attributes[name];
    const isEmpty = value === '' || (Array.isArray(value) && value.length === 0);
    if (attribute !== undefined) properties[attribute.property] = isEmpty ? null : value;
  }
  return properties;
}
