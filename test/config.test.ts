import { afterAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  ConfigError,
  loadConfig,
  loadTargetsConfig,
  parseReference,
  readMasterKey,
  readSecret,
  requireDatabaseUrl,
} from '../src/config.js';

const cwd = '/srv/company';

describe('configuration', () => {
  it('has a default for everything and treats empty variables as unset', () => {
    const config = loadConfig({ TENURE_PORT: '', TENURE_HOME: ' ' }, cwd);
    expect(config.home).toBe('/srv/company/.tenure');
    expect(config.policyDir).toBe('/srv/company/policy');
    expect(config.api).toEqual({ host: '127.0.0.1', port: 7480 });
    expect(config.masterKey).toEqual({ kind: 'file', path: '/srv/company/.tenure/master.key' });
    expect(config.temporal).toMatchObject({ mode: 'embedded', namespace: 'tenure', connection: {} });
    expect(config.database).toMatchObject({ mode: 'embedded', embeddedPort: 7483 });
    expect(config.metrics.workerPort).toBeUndefined();
  });

  it('takes brought systems from the standard variables', () => {
    const config = loadConfig(
      {
        TEMPORAL_ADDRESS: 'temporal.internal:7233',
        TEMPORAL_NAMESPACE: 'hr',
        TEMPORAL_API_KEY: 'k',
        TENURE_DATABASE_URL: 'postgresql://owner:pw@db.internal:5432/tenure',
        TENURE_PORT: '0',
      },
      cwd,
    );
    expect(config.temporal).toMatchObject({ mode: 'brought', namespace: 'hr' });
    expect(config.temporal.connection).toMatchObject({ address: 'temporal.internal:7233', apiKey: 'k' });
    expect(config.database.mode).toBe('brought');
    expect(config.api.port).toBe(0);
    expect(requireDatabaseUrl(config, 'owner')).toContain('db.internal');
    expect(() => requireDatabaseUrl(config, 'app')).toThrow(/TENURE_DATABASE_APP_URL is not set/);
  });

  it('reads how Tenure signs in at its own Vault, by reference only', () => {
    expect(loadConfig({}, cwd).vault).toBeUndefined();
    const address = { TENURE_VAULT_ADDR: 'https://vault.internal:8200/', TENURE_VAULT_CA: 'file:ca.pem' };
    expect(loadConfig({ ...address, TENURE_VAULT_TOKEN: 'file:/run/token' }, cwd).vault).toEqual({
      address: 'https://vault.internal:8200',
      namespace: undefined,
      ca: 'file:/srv/company/ca.pem',
      login: { how: 'token', token: 'file:/run/token' },
    });
    const ids = { TENURE_VAULT_ROLE_ID: 'env:ROLE', TENURE_VAULT_SECRET_ID: 'file:secret-id' };
    expect(loadConfig({ ...address, ...ids }, cwd).vault?.login).toEqual({
      how: 'approle',
      roleId: 'env:ROLE',
      secretId: 'file:/srv/company/secret-id',
      mount: 'approle',
    });
    const jwt = { TENURE_VAULT_JWT: 'file:/run/jwt', TENURE_VAULT_JWT_ROLE: 'tenure' };
    expect(loadConfig({ ...address, ...jwt }, cwd).vault?.login).toMatchObject({ how: 'jwt', mount: 'kubernetes' });
  });

  const vaultAt = { TENURE_VAULT_ADDR: 'https://vault.internal' };
  it.each([
    [{ TENURE_VAULT_ADDR: 'http://vault.internal' }, /^TENURE_VAULT_ADDR must be an https URL/],
    [{ TENURE_VAULT_ADDR: 'https://u:hunter2@vault.internal' }, /^TENURE_VAULT_ADDR must be an https URL/],
    [{ ...vaultAt, TENURE_VAULT_TOKEN: 'hunter2' }, /^TENURE_VAULT_TOKEN must be a reference/],
    [{ TENURE_VAULT_TOKEN: 'env:T' }, /^TENURE_VAULT_ADDR is not set/],
    [vaultAt, /needs one sign-in/],
    [{ ...vaultAt, TENURE_VAULT_ROLE_ID: 'env:R' }, /set together/],
    [{ ...vaultAt, TENURE_VAULT_TOKEN: 'env:T', TENURE_VAULT_JWT: 'env:J', TENURE_VAULT_JWT_ROLE: 'r' }, /one sign-in/],
    [{ TENURE_PORT: '70000' }, /^TENURE_PORT must be a port number from 0/],
    [{ TENURE_PORT: '-1' }, /^TENURE_PORT must be a port number/],
    [{ TENURE_TEMPORAL_PORT: '7233x' }, /^TENURE_TEMPORAL_PORT must be a port/],
    [{ TENURE_DATABASE_URL: 'mysql://u:hunter2@h/d' }, /^TENURE_DATABASE_URL must be a Postgres URL/],
    [{ TENURE_DATABASE_APP_URL: 'postgresql://u:hunter2@host' }, /^TENURE_DATABASE_APP_URL must be a Postgres URL/],
    [{ TENURE_MASTER_KEY: 'hunter2' }, /^TENURE_MASTER_KEY must be a reference, env:NAME or file:PATH/],
    [{ TENURE_LOG_LEVEL: 'loud' }, /^TENURE_LOG_LEVEL must be one of trace/],
    [{ TEMPORAL_ADDRESS: 'http://x' }, /^TEMPORAL_ADDRESS must be host:port/],
    [{ TENURE_URL: 'ftp://x' }, /^TENURE_URL must be an http/],
    [{ TEMPORAL_PROFILE: 'absent', TEMPORAL_CONFIG_FILE: '/nowhere.toml' }, /profile they name cannot be used/],
  ])('refuses %j in one sentence that names the variable and no secret', (env, expected) => {
    const message = messageOf(() => loadConfig(env, cwd));
    expect(message).toMatch(expected);
    expect(message).not.toContain('hunter2');
    expect(message.split('\n')).toHaveLength(1);
  });

  it('names every wrong variable at once', () => {
    const message = messageOf(() => loadConfig({ TENURE_PORT: 'x', TENURE_LOG_LEVEL: 'y' }, cwd));
    expect(message.split('\n')).toHaveLength(2);
  });
});

describe('the sandbox targets’ configuration', () => {
  it('needs a Postgres to live in', () => {
    expect(() => loadTargetsConfig({})).toThrow(/TENURE_TARGETS_DATABASE_URL is not set/);
    const env = { TENURE_SANDBOX_POSTGRES_URL: 'postgresql://u:p@h/d', TENURE_TARGETS_SCIM_PORT: '9' };
    expect(loadTargetsConfig(env)).toMatchObject({ databaseUrl: 'postgresql://u:p@h/d', scimPort: 9, wikiPort: 0 });
  });
});

describe('secrets by reference', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tenure-config-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('are read from a variable or a file, and anything else is refused', () => {
    const path = join(folder, 'secret');
    writeFileSync(path, 'from file\n');
    expect(readSecret(parseReference('env:MY_SECRET'), { MY_SECRET: 'from env' })).toBe('from env');
    expect(readSecret(parseReference(`file:${path}`))).toBe('from file');
    expect(() => parseReference('plain-text-secret')).toThrow(ConfigError);
    expect(() => readSecret({ kind: 'env', name: 'ABSENT' }, {})).toThrow(/Variable ABSENT is missing/);
    expect(() => readSecret({ kind: 'file', path: join(folder, 'absent') })).toThrow(/is missing, empty or not/);
  });

  it('a master key is exactly 32 bytes', () => {
    const config = loadConfig({ TENURE_MASTER_KEY: 'env:KEY' }, cwd);
    expect(readMasterKey(config, { KEY: Buffer.alloc(32, 7).toString('base64') })).toHaveLength(32);
    expect(() => readMasterKey(config, { KEY: 'c2hvcnQ=' })).toThrow(/32 random bytes in base64/);
  });
});

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error('expected a ConfigError');
}
