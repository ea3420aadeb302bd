import type { Finding, Health, OperationContext, TargetSchema } from '../connector.js';
import { asObject } from '../shared/http/json.js';
import { keyName } from './accounts.js';
import type { RealmContext } from './client.js';
import { admin, asList, textOf } from './client.js';
import { measureHealth } from '../shared/health.js';

export function health(realm: RealmContext, ctx: OperationContext): Promise<Health> {
  return measureHealth(() =>
    admin(realm, { operation: 'health', path: '/users', query: { max: '1', briefRepresentation: 'true' } }, ctx),
  );
}

/** What would go wrong later, by reading only: attributes that the realm drops, rights that are missing. */
export async function validate(realm: RealmContext, ctx: OperationContext): Promise<readonly Finding[]> {
  const state = await health(realm, ctx);
  if (!state.ok) {
    return [{ severity: 'error', code: state.code ?? 'UNAVAILABLE', message: 'the users of the realm cannot be read' }];
  }
  const findings: Finding[] = [];
  const { config } = realm;
  const profile = asObject((await admin(realm, { operation: 'validate', path: '/users/profile' }, ctx)).body);
  if (profile['unmanagedAttributePolicy'] === undefined || profile['unmanagedAttributePolicy'] === 'DISABLED') {
    const declared = new Set(asList(profile['attributes']).map((attribute) => textOf(attribute['name'])));
    const beside = new Set([...declared, 'emailVerified', 'requiredActions']);
    const archive = config.archive !== undefined && 'attribute' in config.archive ? [config.archive.attribute] : [];
    const used = [...Object.values(config.attributes).map(({ attribute }) => attribute), config.key, ...archive];
    for (const attribute of new Set(used.filter((name) => !beside.has(name)))) {
      const message = `the realm's user profile does not declare the attribute ${attribute} and would drop its values`;
      findings.push({ severity: 'error', code: 'attribute-not-declared', message });
    }
  }
  const shown = asObject((await admin(realm, { operation: 'validate', path: '' }, ctx)).body);
  if (shown['accessTokenLifespan'] === undefined && config.accessTokenSeconds === undefined) {
    const message =
      'the life of access tokens is hidden: give the client view-realm and view-clients, or set accessTokenSeconds';
    findings.push({ severity: 'error', code: 'lifespan-hidden', message });
  }
  if (shown['editUsernameAllowed'] === false && config.rename) {
    findings.push({
      severity: 'error',
      code: 'no-rename',
      message: 'the realm forbids to change user names: set rename: false',
    });
  }
  if (config.signIn === undefined) {
    const message = 'no sign-in is configured: cuts are proven by reading only';
    findings.push({ severity: 'warning', code: 'no-sign-in', message });
  }
  return findings;
}

export function schemaOf(realm: RealmContext): TargetSchema {
  const { attributes } = realm.config;
  const key = keyName(realm);
  const own = Object.hasOwn(attributes, key)
    ? []
    : [{ name: key, type: 'string' as const, required: false, writable: true }];
  const mapped = Object.entries(attributes).map(([name, { type, required }]) => ({
    name,
    type,
    required,
    writable: true,
  }));
  const login = { name: 'login', type: 'string', required: true, writable: realm.config.rename } as const;
  return { objectClasses: [{ name: 'account', attributes: [login, ...mapped, ...own] }] };
}
