import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { ImapFlow } from 'imapflow';
import type { AccountRef, Forwarding } from '../../src/connectors/connector.js';
import { mailFactory } from '../../src/connectors/mail/index.js';
import { Secret } from '../../src/connectors/secret.js';
import type { MailSystem } from '../systems/mail.js';
import { mailDomain } from '../systems/mail.js';
import { behindProxy } from './kit/behind-proxy.js';
import { committedCapabilities } from './kit/committed.js';
import { startFaultProxy } from './kit/fault-proxy.js';
import type { Beyond, Harness, Peeked } from './kit/harness.js';
import { startHttpFaultProxy } from './kit/http-fault-proxy.js';
import { mailConfig, mailConnector, proofSender } from './mail-setup.js';

/** Dovecot looks once a second whether its file of users has changed. */
const NOTICED_MS = 1_500;

/** The kit's view of Dovecot and Exim: mailboxes are the directory's, the oracle reads the server's own files. */
export async function mailHarness(system: MailSystem): Promise<Harness> {
  const connector = mailConnector(system);
  const [delegate, other] = [`delegate@${mailDomain}`, `other@${mailDomain}`];
  for (const address of [proofSender, delegate, other]) await system.addUser(address, Secret.random().reveal());
  await delay(NOTICED_MS);
  const through = (port: number) =>
    mailConnector(system, { doveadm: { url: `http://127.0.0.1:${port}`, key: 'env:DOVEADM_KEY' } });
  return {
    name: 'mail',
    connector,
    factory: mailFactory,
    committed: committedCapabilities('mail', 'full'),
    wrongConfig: {
      config: {
        ...mailConfig(system),
        imap: { host: 'mail.example.com', port: 143, mode: 'none' },
        closing: { dict: 'nowhere', reason: '{}' },
        proof: { host: 'mail.example.com', port: 25, sender: 'nobody' },
      },
      paths: ['closing.dict', 'closing.reason', 'proof.sender'],
    },
    sampleAccount: () => {
      const login = `user-${randomUUID().slice(0, 8)}@${mailDomain}`;
      return { objectClass: 'account', login, enabled: true, attributes: { mail: login } };
    },
    newAccount: async ({ login }) => {
      const secret = Secret.random();
      await system.addUser(login, secret.reveal());
      await delay(NOTICED_MS);
      return { ref: { application: 'x', objectClass: 'account', nativeId: login }, secret };
    },
    removeAccount: async ({ nativeId }) => {
      await system.removeUser(nativeId);
      await delay(NOTICED_MS);
    },
    trickyAttributes: {},
    unknownAttribute: 'favouriteColour',
    absentNativeId: `nobody@${mailDomain}`,
    delegates: [delegate, other],
    peek: (ref) => peek(system, ref),
    countByLogin: async (login) => (await system.users()).filter((address) => address === login).length,
    snapshot: system.snapshot,
    plant: { enabled: ({ nativeId }, enabled) => system.close(nativeId, !enabled) },
    peekBeyond: (ref) => peekBeyond(system, ref),
    unreachable: () => through(9),
    wrongCredential: () => mailConnector(system, {}, { 'env:DOVEADM_KEY': 'wrong' }),
    throughProxy: async () => {
      const target = { host: '127.0.0.1', port: system.ports.doveadm };
      const proxy = await startFaultProxy(target, (bytes) => bytes.includes('dictSet'));
      const proxied = through(proxy.port);
      return behindProxy(proxy, proxied);
    },
    throughHttpProxy: async () => {
      const origin = `http://127.0.0.1:${system.ports.doveadm}`;
      const proxy = await startHttpFaultProxy(origin, ({ body }) => body.includes('dictSet'));
      const proxied = through(Number(new URL(proxy.origin).port));
      return behindProxy(proxy, proxied);
    },
    openSession: (login, secret) => openSession(system, login, secret),
    stop: async () => {
      await connector.close();
      await system.stop();
    },
  };
}

async function peek(system: MailSystem, { nativeId }: AccountRef): Promise<Peeked | undefined> {
  if (!(await system.users()).includes(nativeId)) return undefined;
  const closed = (await system.closedKeys()).includes(`shared/closed/${nativeId}`);
  return { login: nativeId, enabled: !closed, attributes: { mail: nativeId }, entitlements: [] };
}

/** Reads the commands of the active script (RFC 5228), not the comment that the connector reads. */
async function peekBeyond(system: MailSystem, { nativeId }: AccountRef): Promise<Beyond> {
  const { active, texts } = await system.scripts(nativeId);
  const commands = (texts[active ?? ''] ?? '').replace(/^#.*\r\n/gm, '');
  const string = String.raw`"((?:[^"\\]|\\.)*)"`;
  const plain = (quoted = ''): string => quoted.replace(/\\(.)/g, '$1').replaceAll('\r\n', '\n');
  const [, copy, to] = new RegExp(`^redirect (:copy )?${string};`, 'm').exec(commands) ?? [];
  const [, subject, text] = new RegExp(`^vacation :days 1 :subject ${string} ${string};`, 'm').exec(commands) ?? [];
  if (to === undefined && text === undefined) return { forwarding: undefined };
  const forwarding: Forwarding = {
    to: to === undefined ? undefined : plain(to),
    keepsCopy: copy !== undefined,
    ...(text === undefined ? {} : { autoReply: { subject: plain(subject), text: plain(text) } }),
  };
  return { forwarding };
}

async function openSession(system: MailSystem, login: string, secret: Secret) {
  const session = new ImapFlow({
    host: '127.0.0.1',
    port: system.ports.imap,
    secure: false,
    tls: { ca: system.caText },
    auth: { user: login, pass: secret.reveal() },
    logger: false,
  });
  session.on('error', () => undefined);
  await session.connect();
  return {
    // A server that kicked the connection does not answer; that it did so is seen by asking.
    isOpen: () =>
      session.noop().then(
        () => session.usable,
        () => false,
      ),
    close: () => Promise.resolve(session.close()),
  };
}
