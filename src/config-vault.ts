import { z } from 'zod';

/** Where Tenure reads `vault:` references of policy, and how it signs in there; secrets are references, `env:NAME` or `file:PATH`. */
export interface VaultConfig {
  readonly address: string;
  readonly namespace: string | undefined;
  readonly ca: string | undefined;
  readonly login:
    | { readonly how: 'token'; readonly token: string }
    | { readonly how: 'approle'; readonly roleId: string; readonly secretId: string; readonly mount: string }
    | { readonly how: 'jwt'; readonly role: string; readonly jwt: string; readonly mount: string };
}

/** A variable that holds a reference to `what`: of these secrets Vault itself is no keeper. */
export const referenceTo = (what: string) =>
  z
    .string()
    .regex(/^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/, `must be a reference, env:NAME or file:PATH, never ${what} itself`)
    .optional();
const reference = referenceTo('the secret');
const mount = (fallback: string) =>
  z
    .string()
    .regex(/^[\w.-]+(\/[\w.-]+)*$/, 'must be a path without a slash at its ends')
    .default(fallback);

/** The variables of Tenure's own sign-in at Vault. */
export const vaultVariables = {
  TENURE_VAULT_ADDR: z
    .string()
    .refine(isVaultAddress, 'must be an https URL without a path (http on loopback alone)')
    .optional(),
  TENURE_VAULT_NAMESPACE: z.string().optional(),
  TENURE_VAULT_CA: reference,
  TENURE_VAULT_TOKEN: reference,
  TENURE_VAULT_ROLE_ID: reference,
  TENURE_VAULT_SECRET_ID: reference,
  TENURE_VAULT_APPROLE_MOUNT: mount('approle'),
  TENURE_VAULT_JWT: reference,
  TENURE_VAULT_JWT_ROLE: z.string().optional(),
  TENURE_VAULT_JWT_MOUNT: mount('kubernetes'),
};
type VaultVariables = z.infer<z.ZodObject<typeof vaultVariables>>;

/**
 * Puts the variables together; undefined without an address. `absolute` makes a file reference independent of the working directory.
 * @returns a sentence where exactly one way to sign in is not told.
 */
export function vaultConfig(
  vars: VaultVariables,
  absolute: (reference: string) => string,
): VaultConfig | undefined | string {
  const address = vars.TENURE_VAULT_ADDR;
  const { TENURE_VAULT_TOKEN: token, TENURE_VAULT_ROLE_ID: roleId, TENURE_VAULT_SECRET_ID: secretId } = vars;
  const { TENURE_VAULT_JWT: jwt, TENURE_VAULT_JWT_ROLE: role } = vars;
  if (address === undefined) {
    const isAsked = [token, roleId, secretId, jwt, role].some((one) => one !== undefined);
    return isAsked ? 'TENURE_VAULT_ADDR is not set, but a sign-in at Vault is.' : undefined;
  }
  if ((roleId === undefined) !== (secretId === undefined))
    return 'TENURE_VAULT_ROLE_ID and TENURE_VAULT_SECRET_ID are set together or not at all.';
  if ((jwt === undefined) !== (role === undefined))
    return 'TENURE_VAULT_JWT and TENURE_VAULT_JWT_ROLE are set together or not at all.';
  const logins: VaultConfig['login'][] = [];
  if (token !== undefined) logins.push({ how: 'token', token: absolute(token) });
  if (roleId !== undefined && secretId !== undefined) {
    const ids = { roleId: absolute(roleId), secretId: absolute(secretId) };
    logins.push({ how: 'approle', ...ids, mount: vars.TENURE_VAULT_APPROLE_MOUNT });
  }
  if (jwt !== undefined && role !== undefined)
    logins.push({ how: 'jwt', role, jwt: absolute(jwt), mount: vars.TENURE_VAULT_JWT_MOUNT });
  const [login, other] = logins;
  if (login === undefined || other !== undefined)
    return 'TENURE_VAULT_ADDR needs one sign-in: TENURE_VAULT_TOKEN, or TENURE_VAULT_ROLE_ID with TENURE_VAULT_SECRET_ID, or TENURE_VAULT_JWT with TENURE_VAULT_JWT_ROLE.';
  const ca = vars.TENURE_VAULT_CA;
  return {
    address: address.replace(/\/+$/, ''),
    namespace: vars.TENURE_VAULT_NAMESPACE,
    ca: ca === undefined ? undefined : absolute(ca),
    login,
  };
}

function isVaultAddress(text: string): boolean {
  const url = URL.parse(text);
  if (url === null || url.pathname !== '/' || url.search !== '' || url.username !== '' || url.password !== '')
    return false;
  const isLoopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(url.hostname);
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback);
}
