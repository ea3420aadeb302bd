import type { OperationContext } from '../../connector.js';
import type { JsonObject } from '../http/json.js';
import { asObject } from '../http/json.js';
import type { VaultClient } from './client.js';
import { encodedPath } from './client.js';

/** Why Vault has no such secret; never a value. */
export interface NoSecret {
  readonly problem: string;
}

/** A mount of Vault's, as its paths begin, with a slash at the end. */
interface Mount {
  readonly path: string;
  readonly version: 1 | 2;
}

export interface KeyValueReader {
  /** All fields of the secret at a path (mount included), of its newest version; raises the client's ConnectorError when Vault does not answer. Reads only. */
  read(path: string, ctx: OperationContext): Promise<{ readonly fields: JsonObject } | NoSecret>;
}

/**
 * Reads Vault's key-value store, version 2 and 1. Where in a path the mount ends, and which version it is, Vault itself says, by the same request that its own
 * command line makes (`sys/internal/ui/mounts`); the answer is kept until a path below it is not found.
 */
export function createKeyValueReader(client: VaultClient): KeyValueReader {
  const known: Mount[] = [];
  return {
    async read(path, ctx) {
      const mount = known.find((one) => path.startsWith(one.path)) ?? (await findMount(client, path, ctx));
      if ('problem' in mount) return mount;
      const below = encodedPath(path.slice(mount.path.length));
      const { status, data, body } = await client.send(
        {
          operation: 'read-secret',
          method: 'GET',
          path: `${encodedPath(mount.path)}${mount.version === 2 ? 'data/' : ''}${below}`,
          accept: [404],
        },
        ctx,
      );
      if (status !== 404) {
        if (!known.includes(mount)) known.push(mount);
        return { fields: mount.version === 2 ? asObject(data['data']) : data };
      }
      // The engine may have been made anew in the other version.
      if (known.includes(mount)) known.splice(known.indexOf(mount), 1);
      return { problem: whyNotThere(path, mount, body) };
    },
  };
}

async function findMount(client: VaultClient, path: string, ctx: OperationContext): Promise<Mount | NoSecret> {
  const asked = `sys/internal/ui/mounts/${encodedPath(path)}`;
  const { data } = await client.send({ operation: 'find-mount', method: 'GET', path: asked }, ctx);
  const { path: at, type } = data;
  if (typeof at !== 'string' || !path.startsWith(at)) return { problem: 'nothing is mounted there' };
  // Reading at other engines makes something (a lease, a certificate): that is no secret to refer to.
  if (type !== 'kv' && type !== 'generic') return { problem: 'what is mounted there is no key-value store' };
  return { path: at, version: asObject(data['options'])['version'] === '2' ? 2 : 1 };
}

function whyNotThere(path: string, mount: Mount, body: JsonObject): string {
  if (body['data'] !== undefined && body['data'] !== null) return 'its newest version is deleted';
  return mount.version === 2 && path.slice(mount.path.length).startsWith('data/')
    ? 'there is nothing at this path (write it without data/, as vault kv get takes it)'
    : 'there is nothing at this path';
}
