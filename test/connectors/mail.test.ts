import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ImapFlow } from 'imapflow';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Connector } from '../../src/connectors/connector.js';
import type { SieveSession } from '../../src/connectors/mail/managesieve.js';
import { withScripts } from '../../src/connectors/mail/managesieve.js';
import { Secret } from '../../src/connectors/secret.js';
import type { MailSystem } from '../systems/mail.js';
import { mailMaster, reasonToSkipMail, startMail } from '../systems/mail.js';
import { newContext } from './kit/checks.js';
import { committedCapabilities } from './kit/committed.js';
import { startFaultProxy } from './kit/fault-proxy.js';
import { mailConnector, newMailbox, proofSender } from './mail-setup.js';

const reason = await reasonToSkipMail();
const describeHere = reason === undefined ? describe : describe.skip;

/** Asks again until the answer fits; what it fits after a minute at the latest is the test's. */
async function eventually<T>(ask: () => Promise<T>, fits: (answer: T) => boolean): Promise<T> {
  let answer = await ask();
  for (let tries = 0; tries < 120 && !fits(answer); tries += 1) {
    await delay(500);
    answer = await ask();
  }
  return answer;
}

describeHere(`connector mail with Dovecot and Exim${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
  let system: MailSystem;
  let connector: Connector;
  beforeAll(async () => {
    system = await startMail();
    connector = mailConnector(system);
    await system.addUser(proofSender, Secret.random().reveal());
    await delay(1_500);
  }, 120_000);
  afterAll(async () => {
    await connector?.close();
    await system?.stop();
  });

  it('tells a closed mailbox from a wrong password, and opens it again', async () => {
    const { login, secret, ref } = await newMailbox(system);
    await delay(1_500);
    const answer = async (given: Secret) => (await connector.probeSignIn!(login, given, newContext())).answer;
    expect([await answer(secret), await answer(Secret.random())]).toEqual(['accepted', 'wrong-secret']);
    expect((await connector.disable!(ref, newContext())).outcome).toBe('applied');
    expect(await system.closedKeys()).toContain(`shared/closed/${login}`);
    expect((await connector.get(ref, newContext()))?.status).toBe('disabled');
    expect([await answer(secret), await answer(Secret.random())]).toEqual(['disabled', 'wrong-secret']);
    expect((await connector.disable!(ref, newContext())).outcome).toBe('already-in-state');
    expect((await connector.enable!(ref, newContext())).outcome).toBe('applied');
    expect(await answer(secret)).toBe('accepted');
  });

  it('kicks an open IMAP session', async () => {
    const { login, secret, ref } = await newMailbox(system);
    await delay(1_500);
    const held = new ImapFlow({
      host: '127.0.0.1',
      port: system.ports.imap,
      secure: false,
      tls: { ca: system.caText },
      auth: { user: login, pass: secret.reveal() },
      logger: false,
    });
    held.on('error', () => undefined);
    const closed = new Promise<void>((resolve) => held.once('close', () => resolve()));
    await held.connect();
    expect(held.usable).toBe(true);
    expect((await connector.listSessions!(ref, newContext())).count).toBe(1);
    expect((await connector.revokeSessions!(ref, newContext())).outcome).toBe('applied');
    await closed;
    expect((await connector.listSessions!(ref, newContext())).count).toBe(0);
    expect((await connector.revokeSessions!(ref, newContext())).outcome).toBe('already-in-state');
  });

  it('forwards and answers while the mailbox is closed, and a real message proves it', async () => {
    const [leaver, delegate] = [await newMailbox(system, 'leaver'), await newMailbox(system, 'delegate')];
    await delay(1_500);
    await connector.disable!(leaver.ref, newContext());
    const text = `Please write to "Zoë" <${delegate.login}>.\n.\nThank you; bye.`;
    const wanted = { to: delegate.login, keepsCopy: true, autoReply: { subject: 'No longer "here"', text } };
    const { idempotencyKey } = newContext();
    expect((await connector.setForwarding!(leaver.ref, wanted, newContext())).outcome).toBe('applied');
    expect(await connector.readForwarding!(leaver.ref, newContext())).toEqual(wanted);
    expect((await connector.setForwarding!(leaver.ref, wanted, newContext())).outcome).toBe('already-in-state');
    const look = () => connector.proveDelivery!(leaver.ref, wanted, newContext({ idempotencyKey }));
    expect(await look()).toMatchObject({ delivered: false, replied: false });
    const proof = await eventually(look, (seen) => seen.delivered === true && seen.replied === true);
    expect(proof).toMatchObject({ delivered: true, replied: true });
    expect(await system.messages(delegate.login)).toHaveLength(1);
    expect(await system.messages(leaver.login)).toHaveLength(1);
  }, 120_000);

  it('sees that a message does not arrive where no forwarding is', async () => {
    const [leaver, delegate] = [await newMailbox(system, 'leaver'), await newMailbox(system, 'delegate')];
    await delay(1_500);
    const wanted = { to: delegate.login, keepsCopy: true };
    const look = () => connector.proveDelivery!(leaver.ref, wanted, newContext({ idempotencyKey: leaver.login }));
    await look();
    await eventually(
      () => system.messages(leaver.login),
      (messages) => messages.length > 0,
    );
    expect(await look()).toMatchObject({ delivered: false, replied: undefined });
    expect(await system.messages(leaver.login)).toHaveLength(1);
  }, 120_000);

  it('refuses mail to a closed mailbox where that is configured', async () => {
    const { ref } = await newMailbox(system);
    await delay(1_500);
    const refusing = mailConnector(system, { closing: { dict: system.dict, mail: 'refuse' } });
    await refusing.disable!(ref, newContext());
    const none = { to: undefined, keepsCopy: true };
    await expect(refusing.proveDelivery!(ref, none, newContext())).rejects.toMatchObject({
      code: 'INVALID',
      targetCode: 'smtp-refused',
    });
    await refusing.enable!(ref, newContext());
    expect(await refusing.proveDelivery!(ref, none, newContext())).toMatchObject({ delivered: false });
    await refusing.close();
  });

  it('refuses what cannot be written into a script, and changes nothing', async () => {
    const { ref } = await newMailbox(system);
    await delay(1_500);
    const before = await system.snapshot();
    const wrong = { to: 'a@b.test";discard;"', keepsCopy: true };
    await expect(connector.setForwarding!(ref, wrong, newContext())).rejects.toMatchObject({ code: 'INVALID' });
    const broken = asMaster(system, ref.nativeId, (session) => session.put('broken', 'vacation "x'));
    await expect(broken).rejects.toMatchObject({ code: 'INVALID', attribute: 'forwarding' });
    expect(await system.snapshot()).toBe(before);
  });

  it('keeps a script of the person and puts it back', async () => {
    const { login, ref } = await newMailbox(system);
    await delay(1_500);
    const own = 'require "fileinto";\r\nfileinto "redirect";\r\n';
    await asMaster(system, login, async (session) => {
      await session.put('mine', own);
      await session.activate('mine');
    });
    expect(await connector.readForwarding!(ref, newContext())).toBeUndefined();
    const wanted = { to: 'delegate@corp.test', keepsCopy: false };
    const none = { to: undefined, keepsCopy: true };
    await connector.setForwarding!(ref, wanted, newContext());
    await connector.setForwarding!(ref, { ...wanted, keepsCopy: true }, newContext());
    expect((await system.scripts(login)).active).toBe('tenure');
    // Half done: ours is stored and not active, as after a call that was lost between the two. The next one completes it.
    await asMaster(system, login, (session) => session.activate('mine'));
    expect((await connector.setForwarding!(ref, wanted, newContext())).outcome).toBe('applied');
    expect((await connector.setForwarding!(ref, none, newContext())).outcome).toBe('applied');
    expect(await system.scripts(login)).toEqual({ active: 'mine', texts: { mine: own } });
    expect((await connector.setForwarding!(ref, none, newContext())).outcome).toBe('already-in-state');
  });

  it('does not call a mailbox quiet whose script it cannot read', async () => {
    const { login, ref } = await newMailbox(system);
    await delay(1_500);
    await asMaster(system, login, async (session) => {
      await session.put('private', 'redirect "home@private.test";\r\n');
      await session.activate('private');
    });
    const unreadable = { code: 'UNSUPPORTED', targetCode: 'foreign-script' };
    await expect(connector.readForwarding!(ref, newContext())).rejects.toMatchObject(unreadable);
    // A script of ours that somebody changed is not believed by its comment.
    await connector.setForwarding!(ref, { to: 'delegate@corp.test', keepsCopy: true }, newContext());
    await asMaster(system, login, async (session) => {
      const text = (await session.get('tenure')) ?? '';
      await session.put('tenure', text.replace('delegate@corp.test', 'home@private.test'));
    });
    await expect(connector.readForwarding!(ref, newContext())).rejects.toMatchObject(unreadable);
  });

  it('is refused with a wrong master password, doveadm key and certificate authority, and writes nothing', async () => {
    const { ref } = await newMailbox(system);
    await delay(1_500);
    const wrongKey = mailConnector(system, {}, { 'env:DOVEADM_KEY': 'wrong' });
    expect(await wrongKey.health(newContext())).toMatchObject({ ok: false, code: 'UNAUTHENTICATED' });
    const wanted = { to: 'delegate@corp.test', keepsCopy: true };
    const wrongMaster = mailConnector(system, {}, { 'env:MASTER': 'wrong' });
    const context = newContext();
    await expect(wrongMaster.setForwarding!(ref, wanted, context)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    const otherCa = mailConnector(system, {}, { 'env:CA': readFileSync(system.certificates.otherCa, 'utf8') });
    await expect(otherCa.setForwarding!(ref, wanted, context)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      sent: false,
    });
    expect(await otherCa.probeSignIn!(ref.nativeId, Secret.random(), newContext())).toMatchObject({
      answer: 'unknown',
    });
    expect(context.markers()).toBe(0);
    await Promise.all([wrongKey, wrongMaster, otherCa].map((one) => one.close()));
  });

  it('says AMBIGUOUS when the answer to a closing is lost, and the next call finds it done', async () => {
    const { ref } = await newMailbox(system);
    await delay(1_500);
    const proxy = await startFaultProxy({ host: '127.0.0.1', port: system.ports.doveadm }, (bytes) =>
      bytes.includes('dictSet'),
    );
    const doveadm = { url: `http://127.0.0.1:${proxy.port}`, key: 'env:DOVEADM_KEY' };
    const proxied = mailConnector(system, { doveadm });
    proxy.fail('lose-answer');
    await expect(proxied.disable!(ref, newContext())).rejects.toMatchObject({ code: 'AMBIGUOUS', sent: true });
    proxy.fail('pass');
    expect((await proxied.disable!(ref, newContext())).outcome).toBe('already-in-state');
    proxy.fail('refuse');
    await expect(proxied.enable!(ref, newContext())).rejects.toMatchObject({ code: 'UNAVAILABLE', sent: false });
    await proxy.close();
    await proxied.close();
  });

  it('proves nothing of an attribute that Dovecot does not show', async () => {
    const expected = {
      ref: { application: 'x', objectClass: 'account', nativeId: proofSender },
      exists: true,
      attributes: { mail: proofSender },
    };
    const verdict = async (changes: Readonly<Record<string, string>>) => {
      const attributes = { ...expected.attributes, ...changes };
      return (await connector.verify({ ...expected, attributes }, newContext())).verdict;
    };
    expect([await verdict({}), await verdict({ title: 'x' })]).toEqual(['ok', 'unknown']);
    expect(await verdict({ title: 'x', mail: 'other@corp.test' })).toBe('mismatch');
  });

  it('has the capabilities that are committed', () => {
    expect(connector.capabilities()).toEqual(committedCapabilities('mail', 'full'));
  });
});

function asMaster<T>(system: MailSystem, login: string, work: (session: SieveSession) => Promise<T>): Promise<T> {
  const server = {
    host: '127.0.0.1',
    port: system.ports.sieve,
    mode: 'starttls' as const,
    ca: system.caText,
    masterUser: mailMaster.user,
    masterPassword: new Secret(mailMaster.password),
  };
  return withScripts(server, login, 'test', newContext(), 10_000, work);
}
