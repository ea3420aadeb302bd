import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { AttributeValue } from '../../src/connectors/connector.js';
import { ConnectorConfigError, ConnectorError } from '../../src/connectors/errors.js';
import { createShippedRegistry } from '../../src/connectors/kinds.js';
import { manualCapabilities, manualFactory, renderInstructions } from '../../src/connectors/manual/index.js';
import { createRegistry } from '../../src/connectors/registry.js';
import { parseRetryAfter } from '../../src/connectors/shared/http/retry-after.js';
import { filterOf, flatten, parsePath, writePath } from '../../src/connectors/scim/paths.js';
import { scimConfigSchema } from '../../src/connectors/scim/config.js';
import { scimCapabilities } from '../../src/connectors/scim/index.js';
import { resolveSecret, Secret, SecretReferenceError } from '../../src/connectors/secret.js';
import { applyDelta, effectiveDeltas } from '../../src/connectors/shared/attributes.js';
import { compareState } from '../../src/connectors/shared/compare.js';
import { sqlConfigSchema } from '../../src/connectors/sql/config.js';
import { codeOfState } from '../../src/connectors/shared/sql/dialect.js';
import { postgres } from '../../src/connectors/shared/sql/dialects/postgres.js';
import { sqlCapabilities } from '../../src/connectors/sql/index.js';
import { buildStatements, compileNamed } from '../../src/connectors/sql/statements.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import { memoryFactory } from './memory-connector.js';
import { erpConfig } from './sql-harness.js';

const deps = { secrets: () => new Secret('postgresql://u:p@127.0.0.1:1/x'), logger: newContext().logger };

describe('Secret', () => {
  it('shows its value nowhere but through reveal', () => {
    const secret = new Secret('hunter2-value');
    const shown = [
      String(secret),
      'a ' + (secret as unknown as string),
      JSON.stringify({ secret }),
      inspect({ secret }),
      Object.keys(secret).join(),
    ];
    expect(shown.join(' ')).not.toContain('hunter2-value');
    expect(secret.reveal()).toBe('hunter2-value');
    expect(Secret.random().reveal()).not.toBe(Secret.random().reveal());
  });

  it('is resolved from the given environment and from files, and never echoed', () => {
    const folder = mkdtempSync(join(tmpdir(), 'secret-'));
    try {
      writeFileSync(join(folder, 'key'), 'from-file\n');
      writeFileSync(join(folder, 'empty'), '\n');
      expect(resolveSecret('env:KEY', { KEY: 'from-env' }).reveal()).toBe('from-env');
      expect(resolveSecret(`file:${join(folder, 'key')}`, {}).reveal()).toBe('from-file');
      for (const wrong of [
        'env:NONE',
        `file:${join(folder, 'none')}`,
        `file:${join(folder, 'empty')}`,
        'plain-password',
        'env:',
      ]) {
        expect(() => resolveSecret(wrong, {})).toThrow(SecretReferenceError);
      }
      expect(() => resolveSecret('plain-password', {})).not.toThrow(/plain-password/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('ConnectorError', () => {
  it('keeps native ids out of what loggers print', () => {
    const ref = { application: 'x', objectClass: 'account', nativeId: 'marker-id' };
    const error = new ConnectorError({ code: 'NOT_FOUND', operation: 'get', sent: false, ref });
    expect(error.ref).toEqual(ref);
    expect(JSON.stringify(error) + inspect(error) + String(error)).not.toContain('marker-id');
  });
});

describe('the registry', () => {
  it('knows the shipped kinds and names every problem of a configuration', () => {
    const registry = createShippedRegistry();
    expect([...registry.kinds()].sort()).toEqual([
      'active-directory',
      'file',
      'identity-provider',
      'ldap',
      'mail',
      'manual',
      'powershell',
      'radius',
      'rest',
      'scim',
      'sql',
      'vault',
    ]);
    expect(registry.check('scim', { baseUrl: 'x', token: 'plain' })).toHaveLength(2);
    expect(registry.check('nothing', {})).toEqual([expect.stringMatching(/kind nothing is not known/)]);
    expect(() => registry.create('scim', 'x', {}, deps)).toThrow(ConnectorConfigError);
    expect(() => createRegistry([memoryFactory, memoryFactory])).toThrow(/twice/);
  });

  it('publishes a JSON Schema per kind', () => {
    for (const { kind, configSchema } of createShippedRegistry().descriptors()) {
      expect({ kind, type: configSchema['type'] }).toEqual({ kind, type: 'object' });
    }
  });
});

describe('committed capabilities', () => {
  it('are what the code says, for each variant that no target is run for', () => {
    const scim = scimConfigSchema.parse({ baseUrl: 'https://x.test/v2', token: 'env:T', groups: false });
    expect(scimCapabilities(scim)).toEqual(committedCapabilities('scim', 'minimal'));
    const { logins: _logins, entitlements: _entitlements, archive: _archive, ...bare } = erpConfig;
    expect(sqlCapabilities(sqlConfigSchema.parse(bare))).toEqual(committedCapabilities('sql', 'minimal'));
    expect(manualCapabilities()).toEqual(committedCapabilities('manual', 'full'));
  });
});

describe('the manual connector', () => {
  const config = {
    system: 'Badge desk, ground floor.',
    instructions: { disable: 'Block the badge of {{login}} ({{number}}).' },
  };

  it('declares nothing, reads nothing and proves nothing', async () => {
    const connector = manualFactory.create('badge', config, deps);
    const ref = { application: 'badge', objectClass: 'account', nativeId: '1' };
    expect(connector.disable).toBeUndefined();
    await expect(connector.get(ref, newContext())).rejects.toMatchObject({ code: 'UNSUPPORTED' });
    expect((await connector.verify({ ref, exists: true, status: 'disabled' }, newContext())).verdict).toBe('unknown');
  });

  it('renders instructions and names what is missing', () => {
    const text = renderInstructions('badge', config, 'disable', { login: 'ada' });
    expect(text).toMatchObject({ system: 'Badge desk, ground floor.', text: 'Block the badge of ada ((unknown)).' });
    expect(text.missing).toEqual(['number']);
    expect(renderInstructions('badge', config, 'grant', { login: 'ada', entitlement: 'lab' }).text).toContain(
      'Give lab to',
    );
    expect(() => renderInstructions('badge', { system: '' }, 'create', {})).toThrow(ConnectorConfigError);
  });
});

describe('deltas', () => {
  const value: fc.Arbitrary<AttributeValue> = fc.oneof(fc.string(), fc.array(fc.string()), fc.constant(null));

  it('applied twice change nothing the second time', () => {
    const delta = fc.record({
      attribute: fc.constant('a'),
      op: fc.constantFrom('replace', 'add', 'remove'),
      value,
    } as const);
    fc.assert(
      fc.property(value, delta, (before, change) => {
        const after = applyDelta(before, change);
        expect(effectiveDeltas({ a: after }, [change])).toEqual([]);
      }),
    );
  });
});

describe('comparison', () => {
  const ref = { application: 'x', objectClass: 'account', nativeId: '1' };
  const seen = { ref, login: 'ada', status: 'unknown', attributes: {}, entitlements: undefined } as const;

  it('takes nothing unknown for proven', () => {
    expect(compareState({ ref, exists: true, status: 'disabled' }, seen, 'r').verdict).toBe('unknown');
    expect(compareState({ ref, exists: true, status: 'enabled' }, seen, 'r').verdict).toBe('unknown');
    expect(compareState({ ref, exists: true, entitlementsAbsent: ['g'] }, seen, 'r').verdict).toBe('unknown');
    const locked = { ...seen, status: 'locked' } as const;
    expect(compareState({ ref, exists: true, status: 'disabled' }, locked, 'r').verdict).toBe('mismatch');
  });
});

describe('SCIM paths', () => {
  it('write and read back every form of attribute name', () => {
    const names = [
      'title',
      'name.givenName',
      'emails[type eq "work"].value',
      'enterprise.department',
      'enterprise.manager.value',
    ];
    for (const name of [...names, 'urn:acme:2.0:User:badge']) {
      const resource = writePath({}, parsePath(name, 'create'), 'value');
      expect({ name, value: flatten(resource)[name] }).toEqual({ name, value: 'value' });
    }
    for (const name of [
      'favouriteColour',
      'name.nick',
      'enterprise.shoe',
      'emails[type eq "a" or 1].value',
      '__proto__',
      '',
    ]) {
      expect(() => parsePath(name, 'create')).toThrow(/INVALID/);
    }
  });

  it('let no value leave its quotes in a filter', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const filter = filterOf('login', text, 'find');
        expect(JSON.parse(filter.slice('userName eq '.length))).toBe(text);
      }),
    );
    expect(filterOf('emails[type eq "work"].value', 'a@b.test', 'find')).toBe(
      'emails[type eq "work" and value eq "a@b.test"]',
    );
  });

  it('read Retry-After as seconds and as an HTTP date', () => {
    const now = Date.parse('2026-03-01T10:00:00Z');
    expect(parseRetryAfter('120', now)).toBe(120_000);
    expect(parseRetryAfter('Sun, 01 Mar 2026 10:01:30 GMT', now)).toBe(90_000);
    expect(parseRetryAfter('Sun, 01 Mar 2026 09:00:00 GMT', now)).toBe(0);
    expect([parseRetryAfter('soon', now), parseRetryAfter('-5', now), parseRetryAfter(undefined, now)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('SQL statements', () => {
  it('bind named parameters and leave casts and quoted text alone', () => {
    const text = `update t set a = :login, b = ':login', c = now()::date, d = "x:y" where e = :nativeId and f = :login`;
    expect(compileNamed(text)).toEqual({
      text: `update t set a = $1, b = ':login', c = now()::date, d = "x:y" where e = $2 and f = $1`,
      parameters: ['login', 'nativeId'],
    });
  });

  it('refuse identifiers that are not on the list, statements with semicolons and unknown parameters', () => {
    const problems = (changes: object): number =>
      sqlConfigSchema.safeParse({ ...erpConfig, ...changes }).error?.issues.length ?? 0;
    expect(problems({})).toBe(0);
    expect(problems({ archive: { column: 'x"; drop table y; --' } })).toBe(1);
    expect(problems({ statements: { disable: ['select 1; drop table y'] } })).toBe(1);
    expect(problems({ adoptionKey: 'nowhere' })).toBe(1);
    const config = sqlConfigSchema.parse({ ...erpConfig, statements: { disable: ['select :displayName'] } });
    expect(() => buildStatements('erp', config, postgres)).toThrow(/parameter :displayName is not known/);
  });

  it('classify server codes by their longest prefix, and what nobody listed as a case for a person', () => {
    const codes = ['23505', '23503', '57014', '57P01', '40001', '28P01', '42501', '2BP01', '42P01', 'XX000'];
    expect(codes.map((code) => codeOfState(postgres, code))).toEqual([
      ...[
        'ALREADY_EXISTS',
        'INVALID',
        'TIMEOUT',
        'UNAVAILABLE',
        'UNAVAILABLE',
        'UNAUTHENTICATED',
        'FORBIDDEN',
        'CONFLICT',
      ],
      ...['INVALID', 'INVALID'],
    ]);
  });
});
