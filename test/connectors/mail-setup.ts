import { randomUUID } from 'node:crypto';
import type { Connector } from '../../src/connectors/connector.js';
import { mailFactory } from '../../src/connectors/mail/index.js';
import { Secret } from '../../src/connectors/secret.js';
import type { MailSystem } from '../systems/mail.js';
import { doveadmKey, mailDomain, mailMaster } from '../systems/mail.js';
import { newContext } from './kit/checks.js';

export const proofSender = `tenure-proof@${mailDomain}`;

/** The configuration of a connector to the tests' mail system. */
export function mailConfig({ ports, dict }: MailSystem, changes: Readonly<Record<string, unknown>> = {}) {
  const host = '127.0.0.1';
  return {
    doveadm: { url: `http://${host}:${ports.doveadm}`, key: 'env:DOVEADM_KEY' },
    sieve: { host, port: ports.sieve, ca: 'env:CA', masterUser: mailMaster.user, masterPassword: 'env:MASTER' },
    imap: { host, port: ports.imap, ca: 'env:CA' },
    closing: { dict },
    proof: { host, port: ports.smtp, mode: 'none', sender: proofSender },
    ...changes,
  };
}

export function mailConnector(
  system: MailSystem,
  changes: Readonly<Record<string, unknown>> = {},
  secrets: Readonly<Record<string, string>> = {},
): Connector {
  const known: Readonly<Record<string, string>> = {
    'env:DOVEADM_KEY': doveadmKey,
    'env:CA': system.caText,
    'env:MASTER': mailMaster.password,
    ...secrets,
  };
  const deps = { secrets: (reference: string) => new Secret(known[reference] ?? 'x'), logger: newContext().logger };
  return mailFactory.create('x', mailConfig(system, changes), deps);
}

/** A mailbox that the directory made, never the same twice. */
export async function newMailbox(system: MailSystem, name = 'user') {
  const login = `${name}-${randomUUID().slice(0, 8)}@${mailDomain}`;
  const secret = Secret.random();
  await system.addUser(login, secret.reveal());
  return { login, secret, ref: { application: 'x', objectClass: 'account', nativeId: login } };
}
