import type { Capabilities, Connector, ConnectorOperation, Finding, Health, OperationContext } from '../connector.js';
import type { ConnectorFactory } from '../registry.js';
import { resolveBaseUrl, resolveTls } from '../shared/http/config.js';
import type { MailConfig } from './config.js';
import { mailConfigSchema } from './config.js';
import type { MailContext } from './context.js';
import { proveDelivery } from './delivery.js';
import { Doveadm } from './doveadm.js';
import { readForwarding, setForwarding } from './forwarding.js';
import {
  countSessions,
  endSessions,
  findMailboxes,
  getMailbox,
  listMailboxes,
  setClosed,
  verifyMailbox,
} from './mailboxes.js';
import { probeSignIn } from './sign-in.js';
import { measureHealth } from '../shared/health.js';
import { describeKind, factoryOf } from '../shared/factory.js';

export const mailDescriptor = describeKind('mail', 'Mailboxes (Dovecot: doveadm, ManageSieve, IMAP)', mailConfigSchema);

/** The connector for mailboxes; whose they are is the directory's, so it neither makes nor deletes any. See docs/connectors/mail.md. */
export const mailFactory: ConnectorFactory = factoryOf(
  mailDescriptor,
  mailConfigSchema,
  (application, config, { secrets }) => {
    const { url, key, tls } = config.doveadm;
    const base = resolveBaseUrl(application, url, secrets);
    const withCa = <T extends { readonly ca?: string | undefined }>(server: T) => ({
      ...server,
      ca: server.ca === undefined ? undefined : secrets(server.ca).reveal(),
    });
    return createMailConnector({
      application,
      config,
      doveadm: new Doveadm(base, secrets(key), config.requestTimeoutMs, resolveTls(tls, secrets)),
      sieve:
        config.sieve === undefined
          ? undefined
          : { ...withCa(config.sieve), masterPassword: secrets(config.sieve.masterPassword) },
      imap: config.imap === undefined ? undefined : withCa(config.imap),
      smtp: config.proof === undefined ? undefined : withCa(config.proof),
    });
  },
);

/** What a configuration makes possible: data only, no request. */
export function mailCapabilities(config: MailConfig): Capabilities {
  const operations: ConnectorOperation[] = ['list', 'get', 'find'];
  if (config.closing !== undefined) operations.push('disable', 'enable');
  operations.push('listSessions', 'revokeSessions');
  if (config.sieve !== undefined) operations.push('readForwarding', 'setForwarding');
  if (config.proof !== undefined) operations.push('proveDelivery');
  if (config.imap !== undefined) operations.push('probeSignIn');
  operations.push('verify');
  return {
    objectClasses: { account: { operations, findBy: ['mail'] } },
    signInProbe: config.imap !== undefined,
    atomicSeal: false,
    entitlements: false,
    rename: false,
    sessions: true,
    archive: false,
    consistencyWindowMs: config.consistencyWindowMs,
  };
}

function createMailConnector(mail: MailContext): Connector {
  const { config, doveadm, sieve, imap, smtp } = mail;
  const { closing } = config;
  return {
    descriptor: mailDescriptor,
    capabilities: () => mailCapabilities(config),
    schema: () => {
      const attributes = [
        { name: 'login', type: 'string', required: true, writable: false } as const,
        { name: 'mail', type: 'string', required: true, writable: false } as const,
      ];
      return Promise.resolve({ objectClasses: [{ name: 'account', attributes }] });
    },
    health: (ctx) => health(mail, ctx),
    validate: (ctx) => validate(mail, ctx),
    close: () => doveadm.close(),
    list: (query, ctx) => listMailboxes(mail, query, ctx),
    get: (ref, ctx) => getMailbox(mail, ref, ctx),
    find: (by, ctx) => findMailboxes(mail, by, ctx),
    verify: (expected, ctx) => verifyMailbox(mail, expected, ctx),
    listSessions: (ref, ctx) => countSessions(mail, ref, ctx),
    revokeSessions: (ref, ctx) => endSessions(mail, ref, ctx),
    ...(closing === undefined
      ? {}
      : {
          disable: (ref, ctx) => setClosed(mail, closing, ref, true, ctx),
          enable: (ref, ctx) => setClosed(mail, closing, ref, false, ctx),
        }),
    ...(sieve === undefined
      ? {}
      : {
          readForwarding: (ref, ctx) => readForwarding(mail, sieve, ref, ctx),
          setForwarding: (ref, forwarding, ctx) => setForwarding(mail, sieve, ref, forwarding, ctx),
        }),
    ...(smtp === undefined
      ? {}
      : { proveDelivery: (ref, forwarding, ctx) => proveDelivery(mail, smtp, ref, forwarding, ctx) }),
    ...(imap === undefined
      ? {}
      : {
          probeSignIn: (login, secret, ctx) =>
            probeSignIn(imap, closing?.reason, login, secret, ctx, config.requestTimeoutMs),
        }),
  };
}

function health(mail: MailContext, ctx: OperationContext): Promise<Health> {
  return measureHealth(async () => {
    // Nobody has this address: the answer comes without a walk through all users.
    await mail.doveadm.hasUser('tenure-health@invalid', 'health', ctx);
  });
}

async function validate(mail: MailContext, ctx: OperationContext): Promise<readonly Finding[]> {
  const state = await health(mail, ctx);
  if (!state.ok) {
    return [{ severity: 'error', code: state.code ?? 'UNAVAILABLE', message: 'the doveadm API cannot be used' }];
  }
  const missing = [
    ['closing', 'no dictionary is configured: mailboxes are closed by the directory alone'],
    ['sieve', 'no ManageSieve server is configured: forwardings are set by hand'],
    ['imap', 'no IMAP server is configured: cuts are proven by reading only'],
    ['proof', 'no SMTP server is configured: deliveries are not proven'],
  ] as const;
  return missing
    .filter(([part]) => mail.config[part] === undefined)
    .map(([part, message]) => ({ severity: 'warning' as const, code: `no-${part}`, message }));
}
