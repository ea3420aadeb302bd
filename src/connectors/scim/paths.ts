import type { Attributes, AttributeValue } from '../connector.js';
import { ConnectorError } from '../errors.js';
import { asObject } from '../shared/http/json.js';
import type { Json, JsonObject } from '../shared/http/json.js';

export const enterpriseUrn = 'urn:ietf:params:scim:schemas:extension:enterprise:2.0:User';
export const userUrn = 'urn:ietf:params:scim:schemas:core:2.0:User';
export const groupUrn = 'urn:ietf:params:scim:schemas:core:2.0:Group';

const singleValued = [
  ...['externalId', 'displayName', 'nickName', 'profileUrl', 'title', 'userType'],
  ...['preferredLanguage', 'locale', 'timezone'],
];
const nameParts = ['formatted', 'familyName', 'givenName', 'middleName', 'honorificPrefix', 'honorificSuffix'];
const multiValued = ['emails', 'phoneNumbers', 'ims', 'photos', 'roles'];
const enterpriseParts = ['employeeNumber', 'costCenter', 'organization', 'division', 'department', 'manager.value'];

/** Where an attribute lives: `extension` is a schema URN, `element` the type of one element of a list. */
export interface AttributePath {
  readonly extension?: string;
  readonly top: string;
  readonly sub?: string;
  readonly element?: string;
  readonly list: boolean;
}

/**
 * Reads an attribute name of the policy: `title`, `name.givenName`, `emails` (a list of values),
 * `emails[type eq "work"].value`, `enterprise.department` or the same with its full URN, and any attribute of another
 * extension by URN. Throws INVALID for anything else, so that nothing unknown leaves.
 */
export function parsePath(attribute: string, operation: string): AttributePath {
  const invalid = (): ConnectorError => new ConnectorError({ code: 'INVALID', operation, sent: false, attribute });
  const element = /^([a-zA-Z]+)\[type eq "([\w-]+)"\]\.value$/.exec(attribute);
  if (element !== null) {
    const [, top = '', type = ''] = element;
    if (!multiValued.includes(top)) {
      throw invalid();
    }
    return { top, sub: 'value', element: type, list: true };
  }
  const urn = /^(urn:[\w:.-]+):([\w$.-]+)$/.exec(attribute);
  if (attribute.startsWith('enterprise.') || urn !== null) {
    const extension = urn?.[1] ?? enterpriseUrn;
    const rest = urn?.[2] ?? attribute.slice('enterprise.'.length);
    // A URN's own dots (2.0) end up on the left of the last colon, so `rest` is the attribute alone.
    if (extension === enterpriseUrn && !enterpriseParts.includes(rest)) {
      throw invalid();
    }
    const [top = '', sub] = rest.split('.');
    return { extension, top, list: false, ...(sub === undefined ? {} : { sub }) };
  }
  const [top = '', sub] = attribute.split('.');
  if (sub === undefined && multiValued.includes(top)) {
    return { top, list: true };
  }
  if (singleValued.includes(top) && sub === undefined) {
    return { top, list: false };
  }
  if (top === 'name' && sub !== undefined && nameParts.includes(sub)) {
    return { top, sub, list: false };
  }
  throw invalid();
}

/** Whether {@link parsePath} reads it, or it is the login. */
export function isAttribute(name: string): boolean {
  try {
    return name === 'login' || !parsePath(name, 'configure').list;
  } catch {
    return false;
  }
}

/** The attribute's name in a filter, and how a value is compared there. */
export function filterOf(attribute: string, value: string, operation: string): string {
  // JSON string escaping is the filter grammar's own (RFC 7644, 3.4.2.2), so no value can leave its quotes.
  const quoted = JSON.stringify(value);
  if (attribute === 'login') {
    return `userName eq ${quoted}`;
  }
  const path = parsePath(attribute, operation);
  if (path.element !== undefined) {
    return `${path.top}[type eq ${JSON.stringify(path.element)} and value eq ${quoted}]`;
  }
  const prefix = path.extension === undefined ? '' : `${path.extension}:`;
  const sub = path.list ? '.value' : path.sub === undefined ? '' : `.${path.sub}`;
  return `${prefix}${path.top}${sub} eq ${quoted}`;
}

/** Writes one attribute into a resource and returns the new resource; null clears it. */
export function writePath(resource: JsonObject, path: AttributePath, value: AttributeValue): JsonObject {
  if (path.extension !== undefined) {
    const { extension, ...inner } = path;
    const part = asObject(resource[extension]);
    return { ...resource, [extension]: writePath(part, inner, value) };
  }
  if (path.list) {
    return { ...resource, [path.top]: writeList(asArray(resource[path.top]), path, value) };
  }
  if (path.sub === undefined) {
    return { ...resource, [path.top]: value };
  }
  return { ...resource, [path.top]: { ...asObject(resource[path.top]), [path.sub]: value } };
}

function writeList(list: readonly Json[], path: AttributePath, value: AttributeValue): readonly Json[] {
  if (path.element === undefined) {
    const values = Array.isArray(value) ? (value as readonly string[]) : value === null ? [] : [String(value)];
    // Elements that stay keep what else they carry (type, primary).
    return values.map((wanted) => list.find((item) => asObject(item)['value'] === wanted) ?? { value: wanted });
  }
  const rest = list.filter((item) => asObject(item)['type'] !== path.element);
  const old = list.find((item) => asObject(item)['type'] === path.element);
  return value === null || value === ''
    ? rest
    : [...rest, { ...asObject(old), type: path.element, value: value as Json }];
}

/** All attributes of a resource under the names that {@link parsePath} reads. */
export function flatten(resource: JsonObject): Attributes {
  const found: Record<string, AttributeValue> = {};
  for (const name of singleValued) {
    put(found, name, resource[name]);
  }
  for (const part of nameParts) {
    put(found, `name.${part}`, asObject(resource['name'])[part]);
  }
  for (const name of multiValued) {
    const items = asArray(resource[name]).map(asObject);
    if (items.length > 0) {
      found[name] = items.flatMap((item) => (typeof item['value'] === 'string' ? [item['value']] : []));
    }
    for (const item of items) {
      if (typeof item['type'] === 'string') {
        put(found, `${name}[type eq "${item['type']}"].value`, item['value']);
      }
    }
  }
  for (const [urn, extension] of Object.entries(resource).filter(([key]) => key.startsWith('urn:'))) {
    flattenExtension(found, urn, asObject(extension));
  }
  return found;
}

function flattenExtension(found: Record<string, AttributeValue>, urn: string, extension: JsonObject): void {
  for (const [key, value] of Object.entries(extension)) {
    const inner = asObject(value);
    const entries: [string, Json | undefined][] =
      Object.keys(inner).length > 0 ? Object.entries(inner).map(([sub, v]) => [`${key}.${sub}`, v]) : [[key, value]];
    for (const [name, plain] of entries) {
      put(found, `${urn}:${name}`, plain);
      if (urn === enterpriseUrn && enterpriseParts.includes(name)) {
        put(found, `enterprise.${name}`, plain);
      }
    }
  }
}

function put(found: Record<string, AttributeValue>, name: string, value: Json | undefined): void {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') {
    found[name] = value;
  }
}

/** A string of a resource; anything else is empty. */
export function asText(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

export function asArray(value: Json | undefined): readonly Json[] {
  return Array.isArray(value) ? (value as readonly Json[]) : [];
}

/** The attributes this connector knows without asking, for targets that do not publish schemas. */
export const knownAttributes: readonly { readonly name: string; readonly list: boolean }[] = [
  ...singleValued.map((name) => ({ name, list: false })),
  ...nameParts.map((part) => ({ name: `name.${part}`, list: false })),
  ...multiValued.map((name) => ({ name, list: true })),
  ...enterpriseParts.map((part) => ({ name: `enterprise.${part}`, list: false })),
];
