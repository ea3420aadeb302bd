import type { OperationContext, SignInAnswer } from '../connector.js';
import { isConnectorError } from '../errors.js';
import { Secret } from '../secret.js';
import type { Send } from '../shared/http/client.js';
import { asObject } from '../shared/http/json.js';
import { encodedPath } from '../shared/vault/client.js';
import type { VaultContext } from './entities.js';
import { asList, asTexts, entityByLogin } from './entities.js';

const road = 'vault:userpass-login';

/**
 * One real sign-in on a connection of its own. Vault checks the password before the entity: "permission denied" after a right password
 * is what a disabled entity gets. A user whom wrong passwords have locked out, and one from a forbidden network, get the same words; so the
 * list of locked users and the entity itself are read, and only when the user is not locked and the entity is off is it `disabled`.
 */
export async function probeSignIn(
  vault: VaultContext,
  mount: string,
  login: string,
  secret: Secret,
  ctx: OperationContext,
): Promise<SignInAnswer> {
  try {
    return await vault.client.onOwnConnection((send) => attempt(vault, mount, login, secret, ctx, send));
  } catch (error) {
    if (isConnectorError(error)) return { answer: 'unknown', code: error.targetCode ?? error.code, road };
    throw error;
  }
}

async function attempt(
  vault: VaultContext,
  mount: string,
  login: string,
  secret: Secret,
  ctx: OperationContext,
  send: Send,
): Promise<SignInAnswer> {
  const path = `auth/${encodedPath(mount)}/login/${encodeURIComponent(login)}`;
  const body = { password: secret.reveal() };
  const request = { operation: 'probeSignIn', method: 'POST', path, body, anonymous: true } as const;
  const reply = await vault.client.send({ ...request, accept: [400, 401, 403, 404, 429, 500, 503] }, ctx, send);
  const said = asTexts(reply.body['errors']).join(' ');
  const code = (detail = ''): string => `http-${reply.status}${detail}`;
  const token = asObject(reply.body['auth'])['client_token'];
  if (reply.status === 200 && typeof token === 'string' && token !== '') {
    await signOut(vault, new Secret(token), ctx, send);
    return { answer: 'accepted', code: code(), road };
  }
  // 400 for a name that it does not know, 500 for a wrong password of one that it knows.
  if ([400, 500].includes(reply.status) && said === 'invalid username or password') {
    return { answer: 'wrong-secret', code: code(' invalid-credentials'), road };
  }
  if (reply.status !== 403 || said !== 'permission denied') return { answer: 'unknown', code: code(), road };
  if (await isLocked(vault, login, ctx)) return { answer: 'locked', code: code(' user-lockout'), road };
  const entity = await entityByLogin(vault, login, 'probeSignIn', ctx);
  return entity?.disabled === true
    ? { answer: 'disabled', code: code(' entity-disabled'), road }
    : { answer: 'unknown', code: code(' entity-enabled'), road };
}

async function isLocked(vault: VaultContext, login: string, ctx: OperationContext): Promise<boolean> {
  const accessor = (await vault.accessor(ctx)) ?? '';
  const path = `sys/locked-users?mount_accessor=${encodeURIComponent(accessor)}`;
  const { data } = await vault.client.send({ operation: 'probeSignIn', method: 'GET', path }, ctx);
  return asList(data['by_namespace'])
    .flatMap((one) => asList(asObject(one)['mount_accessors']))
    .map(asObject)
    .some((one) => one['mount_accessor'] === accessor && asTexts(one['alias_identifiers']).includes(login));
}

async function signOut(vault: VaultContext, token: Secret, ctx: OperationContext, send: Send): Promise<void> {
  const call = {
    operation: 'probeSignIn',
    method: 'POST',
    url: vault.client.urlOf('auth/token/revoke-self'),
    anonymous: true,
    write: false,
    headers: { 'x-vault-token': token.reveal() },
  } as const;
  try {
    await send(call, ctx);
  } catch {
    // The probe's answer stands; a token left behind shows in the session count.
    ctx.logger.warn({ application: vault.application }, 'the session of a sign-in probe could not be closed');
  }
}
