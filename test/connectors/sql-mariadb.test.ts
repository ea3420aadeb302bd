import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { AccountRef, Connector } from '../../src/connectors/connector.js';
import { Secret } from '../../src/connectors/secret.js';
import type { MariaDb } from '../systems/mariadb.js';
import { procedureGrants, reasonToSkipMariaDb, serviceGrants, startMariaDb } from '../systems/mariadb.js';
import { newContext } from './kit/checks.js';
import { mariadbConnector, mariadbSample, mariadbThroughProxy, peekMariaDb } from './sql-mariadb-harness.js';

const reason = await reasonToSkipMariaDb();
const describeHere = reason === undefined ? describe : describe.skip;

describeHere(`the sql connector on MariaDB${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
  let server: MariaDb;
  let connector: Connector;
  beforeAll(async () => {
    server = await startMariaDb();
    connector = mariadbConnector(server);
  }, 120_000);
  afterAll(async () => {
    await connector?.close();
    await server?.stop();
  });
  const make = async (): Promise<{ ref: AccountRef; login: string; secret: Secret }> => {
    const spec = mariadbSample();
    const { ref } = await connector.create!(spec, newContext());
    const secret = Secret.random();
    await connector.setSecret!(ref, secret, newContext());
    return { ref, login: spec.login, secret };
  };
  const state = async (ref: AccountRef): Promise<unknown> => {
    const seen = await peekMariaDb(server, 'account_id', ref.nativeId);
    return seen === undefined ? undefined : [seen.flag, seen.open];
  };
  const logIns = async (login: string): Promise<number> =>
    Number((await server.query('select count(*) as n from mysql.global_priv where User = ?', [login]))[0]?.['n']);

  /** Runs an operation whose connection dies right after the step with these words was done, then repeats it. */
  const interrupted = async (
    words: string,
    work: (connector: Connector) => Promise<unknown>,
    between: () => Promise<void>,
  ): Promise<void> => {
    const { connector: proxied, fail, close } = await mariadbThroughProxy(server, (text) => text.includes(words));
    try {
      fail('lose-answer');
      await expect(work(proxied)).rejects.toMatchObject({ code: 'AMBIGUOUS', sent: true });
      await between();
      fail('pass');
      await work(proxied);
    } finally {
      await close();
    }
  };

  describe('interrupted between its steps', () => {
    for (const words of ['create user', 'grant "erp_user"', 'account unlock']) {
      it(`a create (after: ${words}) lets nobody in half-made, and the repeat completes it`, async () => {
        const spec = mariadbSample();
        const idempotencyKey = randomUUID();
        let ref: AccountRef | undefined;
        await interrupted(
          words,
          async (one) => (ref = (await one.create!(spec, newContext({ idempotencyKey }))).ref),
          async () => {
            const seen = await peekMariaDb(server, 'login', spec.login);
            expect([seen?.flag, seen?.open]).toEqual([true, words === 'account unlock']);
          },
        );
        expect(await state(ref!)).toEqual([true, true]);
        expect(await logIns(spec.login)).toBe(1);
        const [grant] = await server.query('select count(*) as n from mysql.roles_mapping where User = ?', [
          spec.login,
        ]);
        expect(Number(grant?.['n'])).toBe(1);
      });
    }

    it('a disable has closed the log-in first, and the repeat sets the flag', async () => {
      const { ref, login, secret } = await make();
      await interrupted(
        'account lock',
        (one) => one.disable!(ref, newContext()),
        async () => {
          expect(await state(ref)).toEqual([true, false]);
          expect((await connector.get(ref, newContext()))?.status).toBe('unknown');
          expect((await connector.probeSignIn!(login, secret, newContext())).answer).toBe('disabled');
        },
      );
      expect(await state(ref)).toEqual([false, false]);
    });

    it('a seal has set the secret and closed the log-in in one statement, and the repeat sets the flag', async () => {
      const { ref, login, secret } = await make();
      const fresh = Secret.random();
      await interrupted(
        'account lock',
        (one) => one.seal!(ref, fresh, newContext()),
        async () => {
          expect(await state(ref)).toEqual([true, false]);
          expect((await connector.probeSignIn!(login, fresh, newContext())).answer).toBe('disabled');
          expect((await connector.probeSignIn!(login, secret, newContext())).answer).toBe('wrong-secret');
        },
      );
      expect(await state(ref)).toEqual([false, false]);
    });

    it('an enable opens the log-in last, and the repeat opens it', async () => {
      const { ref } = await make();
      await connector.disable!(ref, newContext());
      const before = await state(ref);
      await interrupted(
        'account unlock',
        (one) => one.enable!(ref, newContext()),
        async () => expect(await state(ref)).toEqual([true, true]),
      );
      expect([before, await state(ref)]).toEqual([
        [false, false],
        [true, true],
      ]);
    });

    it('a delete has dropped the log-in first, and the repeat removes the row', async () => {
      const { ref, login } = await make();
      await interrupted(
        'drop user',
        (one) => one.delete!(ref, newContext()),
        async () => {
          expect(await state(ref)).toEqual([true, false]);
          expect(await logIns(login)).toBe(0);
        },
      );
      expect(await state(ref)).toBeUndefined();
    });

    it('a rename leaves the log-in closed, the repeat finishes the names and enable opens it', async () => {
      const { ref, login } = await make();
      const to = mariadbSample().login;
      const rename = (one: Connector) =>
        one.update!(ref, [{ attribute: 'login', op: 'replace', value: to }], newContext());
      await interrupted('rename user', rename, async () => expect(await state(ref)).toEqual([true, false]));
      expect([await logIns(login), await logIns(to), await state(ref)]).toEqual([0, 1, [true, false]]);
      await connector.enable!(ref, newContext());
      expect(await state(ref)).toEqual([true, true]);
    });
  });

  it('counts 4151 as proof because the server gives it only to the right password', async () => {
    const { ref, login, secret } = await make();
    await connector.disable!(ref, newContext());
    expect(await connector.probeSignIn!(login, secret, newContext())).toMatchObject({
      answer: 'disabled',
      code: '4151',
    });
    const wrong = await connector.probeSignIn!(login, Secret.random(), newContext());
    expect(wrong).toMatchObject({ answer: 'wrong-secret', code: '1045' });
  });

  it('never takes over a log-in that was there before', async () => {
    const spec = mariadbSample();
    await server.query(`create user '${spec.login}'@'127.0.0.1' identified by 'somebody-else'`);
    await expect(connector.create!(spec, newContext())).rejects.toMatchObject({ code: 'ALREADY_EXISTS', sent: false });
    expect(await peekMariaDb(server, 'login', spec.login)).toBeUndefined();
  });

  it('holds no plain password in any statement: the server log has none', async () => {
    await server.query(`set global log_output = 'TABLE'`);
    await server.query('set global general_log = on');
    const { ref } = await make();
    const secret = Secret.random();
    await connector.setSecret!(ref, secret, newContext());
    await connector.seal!(ref, secret, newContext());
    await server.query('set global general_log = off');
    const lines = (await server.query('select convert(argument using utf8mb4) as line from mysql.general_log')).map(
      ({ line }) => String(line),
    );
    expect(lines.some((line) => line.includes('alter user'))).toBe(true);
    expect(lines.some((line) => line.includes(secret.reveal()))).toBe(false);
  });

  it('gives up within a second while a statement waits for a lock, and nothing is written later', async () => {
    const { ref } = await make();
    const holder = await server.connection();
    try {
      await holder.query('start transaction');
      await holder.query('select * from erp.accounts where account_id = ? for update', [ref.nativeId]);
      const stop = new AbortController();
      const started = Date.now();
      setTimeout(() => stop.abort(), 200);
      const write = connector.update!(
        ref,
        [{ attribute: 'department', op: 'replace', value: 'Late' }],
        newContext({ signal: stop.signal }),
      );
      await expect(write).rejects.toMatchObject({ code: 'TIMEOUT' });
      expect(Date.now() - started).toBeLessThan(1_200);
    } finally {
      await holder.end();
    }
    await connector.disable!(ref, newContext());
    expect((await peekMariaDb(server, 'account_id', ref.nativeId))?.row['department']).toBe('Research');
  });

  it('survives connections that died while they lay idle', async () => {
    const { connector: proxied, proxy, fail, close } = await mariadbThroughProxy(server, () => false);
    try {
      const { ref } = await make();
      await proxied.get(ref, newContext());
      fail('refuse');
      fail('pass');
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect((await proxied.get(ref, newContext()))?.status).toBe('enabled');
      expect(proxy.open()).toBe(1);
      // A firewall that drops without a word: the connection stays up and answers nothing.
      await new Promise((resolve) => setTimeout(resolve, 1_100));
      fail('hang');
      setTimeout(() => fail('pass'), 300);
      expect((await proxied.get(ref, newContext()))?.status).toBe('enabled');
    } finally {
      await close();
    }
  });

  it('speaks TLS to the pinned authority alone', async () => {
    const { ca, otherCa } = server.certificates;
    const pinned = mariadbConnector(server, { host: 'localhost', tls: { ca: `file:${ca}` } });
    const other = mariadbConnector(server, { host: 'localhost', tls: { ca: `file:${otherCa}` } });
    try {
      expect(await pinned.health(newContext())).toMatchObject({ ok: true });
      expect(await other.health(newContext())).toMatchObject({ ok: false, code: 'UNAVAILABLE' });
    } finally {
      await pinned.close();
      await other.close();
    }
    expect(() => mariadbConnector(server, { host: 'db.example.test', tls: { mode: 'none' } })).toThrow(/tls.mode/);
  });

  it('reads its schema from the live database, and names what cannot work', async () => {
    const schema = await connector.schema(newContext());
    const columns = schema.objectClasses.find(({ name }) => name === 'table:erp.accounts')?.attributes ?? [];
    const column = (wanted: string) => columns.find(({ name }) => name === wanted);
    expect(column('login')).toEqual({ name: 'login', type: 'string', required: true, writable: true });
    expect(column('cost_center')).toMatchObject({ type: 'number', required: false });
    expect(column('enabled')).toMatchObject({ type: 'boolean', required: true });
    expect(column('alive')).toMatchObject({ writable: false });
    expect(column('account_id')).toMatchObject({ writable: false, required: false });
    const bare = mariadbConnector(server, { attributes: { externalId: { column: 'external_id', required: true } } });
    const findings = await bare.validate(newContext());
    expect(findings.map(({ code, message }) => `${code} ${message.split(' ')[1]}`)).toContain('unmapped display_name');
    await bare.close();
  });

  it('has the rights of the documentation and no others', async () => {
    const granted = async (user: string): Promise<string[]> =>
      (await server.query(`show grants for '${user}'@'127.0.0.1'`)).map((row) =>
        String(Object.values(row)[0])
          .replaceAll('`', '')
          .replace(/ IDENTIFIED BY.*/, '')
          .toLowerCase(),
      );
    expect((await granted('tenure')).length).toBe(serviceGrants.length);
    const calls = (await granted('tenure_calls')).join('\n');
    expect((await granted('tenure_calls')).length).toBe(procedureGrants.length);
    expect(calls).not.toMatch(/insert|update|delete|create user/);
  });

  it('counts one effect per operation at the database itself', async () => {
    const { ref } = await make();
    await connector.disable!(ref, newContext());
    await connector.disable!(ref, newContext());
    await connector.delete!(ref, newContext());
    const effects = await server.query('select operation from erp_log.effects where target_id = ? order by sequence', [
      ref.nativeId,
    ]);
    expect(effects.map(({ operation }) => operation)).toEqual(['create', 'disable', 'delete']);
  });
});
