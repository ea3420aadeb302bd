import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { ensureToken } from '../../src/api/http/tokens.js';
import type { IdentityId } from '../../src/domain/process/ids.js';
import { MailError, createMailer } from '../../src/notices/smtp.js';
import { verifyReport } from '../../src/report/signature.js';
import { startFaultProxy } from '../connectors/kit/fault-proxy.js';
import type { FaultProxy } from '../connectors/kit/fault-proxy.js';
import { ensureBuild } from '../support/build.js';
import { openDoor } from '../support/world-api.js';
import { createWorld, eventually } from '../support/world.js';
import type { World } from '../support/world.js';
import { mailDomain, reasonToSkipMail, startMail } from '../systems/mail.js';
import type { MailSystem } from '../systems/mail.js';
import { DAY_MS, processOf, skip } from '../time/skipping.js';
import { createDesk, withDesk } from './support/desk.js';
import { cut, joined, replaced } from './support/people.js';
import { atRest } from './support/rest.js';

const reason = await reasonToSkipMail();
const describeHere = reason === undefined ? describe : describe.skip;
const FROM = `tenure@${mailDomain}`;

describeHere(`notices by Exim and Dovecot${reason === undefined ? '' : ` (skipped: ${reason})`}`, () => {
  const desk = createDesk();
  let mail: MailSystem;
  let wire: FaultProxy;
  let world: World;
  let door: Awaited<ReturnType<typeof openDoor>>;
  let home: string;
  let boss: IdentityId;
  let child: ChildProcess | undefined;

  beforeAll(async () => {
    home = mkdtempSync(join(tmpdir(), 'tenure-notice-'));
    mail = await startMail();
    // The write is the end of a message: what comes after it is the server's word that it has it.
    const isEnd = (bytes: Buffer): boolean => /(^|\r\n)\.\r\n$/.test(bytes.toString('latin1'));
    wire = await startFaultProxy({ host: '127.0.0.1', port: mail.ports.smtp }, isEnd);
    world = await createWorld({
      registry: desk.registry,
      policy: (files) =>
        replaced(withDesk(files), 'lifecycle.yaml', ['mailDomain: example.com', `mailDomain: ${mailDomain}`]),
      smtp: { host: '127.0.0.1', port: wire.port, from: FROM, tls: 'none', user: undefined },
    });
    door = await openDoor(world);
    boss = await joined(world, 'boss');
    await mail.addUser(mailbox('boss'), randomBytes(12).toString('hex'));
  }, 180_000);
  afterAll(async () => {
    await kill();
    await door?.app.close();
    await world?.stop();
    await wire?.close();
    await mail?.stop();
    if (home !== undefined) rmSync(home, { recursive: true, force: true });
  });

  afterEach(() => {
    wire?.fail('pass');
  });

  const mailbox = (person: string): string => `p${person}.test${world.tag}@${mailDomain}`;
  const noticesOf = (id: IdentityId) =>
    world.deps.db.selectFrom('notice').selectAll().where('identity_id', '=', id).orderBy('created_at').execute();
  /** The messages about somebody that have come to the boss. */
  const arrived = async (person: string): Promise<readonly string[]> =>
    (await mail.messages(mailbox('boss'))).filter((text) => text.includes(`P${person} Test`));
  const messageIds = (texts: readonly string[]) => texts.map((text) => /^Message-ID: (\S+)/im.exec(text)?.[1]);
  const get = (path: string, token = door.token) =>
    fetch(door.url + path, { headers: { authorization: `Bearer ${token}` } });

  async function kill(): Promise<void> {
    const running = child;
    child = undefined;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const ended = once(running, 'exit');
    running.kill('SIGKILL');
    await ended;
  }

  it('reports and tells the manager by itself: access ended, handed over, deleted', async () => {
    const id = await joined(world, 'tell', { manager: 'boss' });
    desk.fill('ptell.');
    await cut(world, 'tell');
    const tail = await processOf(world, id, 'leaver', (row) => row.state === 'tail' && row.due_at !== null);
    const texts = await eventually(async () => {
      const all = await arrived('tell');
      return all.length === 2 ? all : undefined;
    }, 'two messages');
    const ended = texts.find((text) => text.includes(`The access of Ptell Test${world.tag} has ended.`)) ?? '';
    expect(ended).toMatch(/^Subject: Access has ended: Ptell Test/m);
    expect(ended).toContain(`From: ${FROM}`);
    expect(ended).toMatch(/^Deadlines: \d+ met, \d+ missed, \d+ still open/m);
    expect(texts.some((text) => /^Subject: Handover is done/m.test(text))).toBe(true);
    // What only the report says: accounts, user names, applications.
    for (const text of texts) expect(text).not.toMatch(/ptell\.|desk|directory/);

    await skip(world, tail.workflow_id, 91 * DAY_MS);
    await processOf(world, id, 'leaver', (row) => row.state === 'completed');
    await eventually(async () => ((await arrived('tell')).length === 3 ? true : undefined), 'the last message');
    const path = `/v1/processes/${encodeURIComponent(tail.process_id)}/reports`;
    const { reports } = (await (await get(path)).json()) as { reports: { version: number; occasion: string }[] };
    expect(reports.map((one) => `${one.version} ${one.occasion}`)).toEqual([
      '1 access-ended',
      '2 handed-over',
      '3 deleted',
    ]);
    const link = new RegExp(String.raw`https://tenure\.example(\S+)\?format=html`).exec(
      ended.replaceAll('=\r\n', '').replaceAll('=\n', '').replaceAll('=3D', '='),
    )?.[1];
    expect(link).toBe(`${path}/1`);
    const kept = await (await get(`${path}/1`)).text();
    expect(await (await get(`${path}/1`)).text()).toBe(kept);
    const { report } = await verifyReport(kept, { keys: [world.signer.publicKey] });
    expect(report.actions.filter((one) => one.tier === 'T1').map((one) => one.state)).not.toContain('open');
    expect((await (await get(`${path}/1?format=html`)).text()).startsWith('<!doctype html>')).toBe(true);
    expect([(await get(`${path}/4`)).status, (await get(`${path}/x`)).status]).toEqual([404, 404]);
    const actions = await world.deps.db
      .selectFrom('audit')
      .select('action')
      .where('identity_id', '=', id)
      .where((eb) => eb.or([eb('action', '=', 'report.made'), eb('action', '=', 'notice.sent')]))
      .execute();
    expect(actions.map((one) => one.action).sort()).toEqual([
      ...Array(3).fill('notice.sent'),
      ...Array(3).fill('report.made'),
    ]);
  }, 120_000);

  it('shows a kept report to the manager who was told, and to no other', async () => {
    const { process_id: processId } = await world.deps.db
      .selectFrom('report')
      .select('process_id')
      .where('version', '=', 1)
      .executeTakeFirstOrThrow();
    const other = await joined(world, 'stranger');
    const statusFor = async (identityId: IdentityId): Promise<number> => {
      const token = `manager_${randomBytes(20).toString('hex')}`;
      await ensureToken(world.deps.db, { name: `m-${identityId}`, role: 'manager', token, identityId });
      return (await get(`/v1/processes/${encodeURIComponent(processId)}/reports/1`, token)).status;
    };
    expect([await statusFor(boss), await statusFor(other)]).toEqual([200, 404]);
  });

  it('never changes what it has kept: the role of the app may not', async () => {
    const change = world.deps.db.updateTable('report').set({ hash: 'x' }).execute();
    await expect(change).rejects.toMatchObject({ code: '42501' });
    await expect(world.deps.db.deleteFrom('report').execute()).rejects.toMatchObject({ code: '42501' });
  });

  it('keeps a notice while the mail server is down, holds up nothing, shows it, and sends it later', async () => {
    wire.fail('refuse');
    const id = await joined(world, 'down', { manager: 'boss' });
    await cut(world, 'down');
    await processOf(world, id, 'leaver', (row) => row.state === 'tail');
    const waiting = await eventually(async () => {
      const [first] = await noticesOf(id);
      return first !== undefined && first.tries >= 2 ? first : undefined;
    }, 'two tries');
    expect(waiting).toMatchObject({
      state: 'pending',
      kind: 'access-ended',
      recipient_identity_id: boss,
      sent_at: null,
    });
    expect(waiting.code).toMatch(/^smtp-(socket|connection)$/);
    const { notices } = (await (await get('/v1/status')).json()) as { notices: Record<string, number> };
    expect(notices['pending']).toBeGreaterThan(0);
    const listed = (await (await get('/v1/notices?state=pending')).json()) as { items: Record<string, unknown>[] };
    expect(listed.items.find((one) => one['noticeId'] === waiting.notice_id)).toMatchObject({
      code: waiting.code,
      recipient: { identityId: boss },
    });
    expect(JSON.stringify(listed)).not.toContain('@');
    wire.fail('pass');
    await eventually(
      async () => {
        const rows = await noticesOf(id);
        return rows.length > 0 && rows.every((row) => row.state === 'sent' && row.code === null) ? true : undefined;
      },
      'the notice',
      60_000,
    );
    await eventually(async () => ((await arrived('down')).length > 0 ? true : undefined), 'the message');
  }, 120_000);

  it('gives up at once what the server refuses for good, and says so', async () => {
    const nobox = await joined(world, 'nobox');
    const id = await joined(world, 'lost', { manager: 'nobox' });
    await cut(world, 'lost');
    const [row] = await eventually(async () => {
      const rows = await noticesOf(id);
      return rows.some((one) => one.state === 'failed') ? rows : undefined;
    }, 'the refusal');
    expect(row).toMatchObject({ code: 'smtp-550', recipient_identity_id: nobox, sent_at: null });
  });

  it('sends a refused one once more when it is asked to, to the manager of now, and notes who asked', async () => {
    await joined(world, 'later');
    const id = await joined(world, 'again', { manager: 'later' });
    await cut(world, 'again');
    const row = await eventually(
      async () => (await noticesOf(id)).find((one) => one.state === 'failed'),
      'the refusal',
    );
    const sending = (noticeId: string, token = door.token) =>
      fetch(`${door.url}/v1/notices/${noticeId}/sending`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
      });
    const noticeId = row.notice_id;
    const hr = `hr_${randomBytes(20).toString('hex')}`;
    await ensureToken(world.deps.db, { name: 'hr-of-a-test', role: 'hr', token: hr });
    expect((await sending(noticeId, hr)).status).toBe(403);
    expect([(await sending('x')).status, (await sending(randomUUID())).status]).toEqual([404, 404]);
    await mail.addUser(mailbox('later'), randomBytes(12).toString('hex'));
    const direct = createMailer(
      { host: '127.0.0.1', port: mail.ports.smtp, from: FROM, user: undefined, tls: 'none' },
      {},
    );
    // Dovecot looks at its list of users once a second.
    await eventually(async () => {
      await direct({ to: mailbox('later'), subject: 'first', text: 'Are you there?', messageId: randomUUID() });
      return true;
    }, 'the mailbox');
    expect((await sending(noticeId)).status).toBe(202);
    const texts = await eventually(async () => {
      const all = (await mail.messages(mailbox('later'))).filter((text) => text.includes(`tenure.notice.${noticeId}@`));
      if (all.length === 0)
        throw new Error(JSON.stringify((await noticesOf(id)).map(({ state, code }) => [state, code])));
      return all;
    }, 'the message');
    expect(texts).toHaveLength(1);
    expect(texts[0]).toMatch(/^Subject: .*Pagain Test/m);
    await eventually(async () => {
      const now = (await noticesOf(id)).find((one) => one.notice_id === noticeId);
      return now?.state === 'sent' ? true : undefined;
    }, 'the mark');
    const records = await world.deps.db
      .selectFrom('audit')
      .select(['actor', 'action'])
      .where('identity_id', '=', id)
      .where('action', '=', 'notice.sent-again')
      .execute();
    expect(records).toHaveLength(1);
    expect(records[0]?.actor).not.toBe('system');
  });

  it('has nobody to tell when no manager works here', async () => {
    const id = await joined(world, 'alone');
    await cut(world, 'alone');
    const [row] = await eventually(async () => {
      const rows = await noticesOf(id);
      return rows.length > 0 ? rows : undefined;
    }, 'the notice');
    expect(row).toMatchObject({ state: 'no-recipient', recipient_identity_id: null, tries: 0 });
    const again = await fetch(`${door.url}/v1/notices/${row?.notice_id ?? ''}/sending`, {
      method: 'POST',
      headers: { authorization: `Bearer ${door.token}` },
    });
    expect([again.status, ((await again.json()) as { type: string }).type]).toEqual([409, '/problems/no-recipient']);
    await atRest(world, [id]).catch(() => undefined);
  });

  it('sends nothing in clear unless told to', async () => {
    const server = { host: '127.0.0.1', port: mail.ports.smtp, from: FROM, user: undefined } as const;
    const letter = { to: mailbox('boss'), subject: 'clear', text: 'in clear text', messageId: 'tenure.notice.clear' };
    await expect(createMailer({ ...server, tls: 'starttls' }, {})(letter)).rejects.toBeInstanceOf(MailError);
    await expect(createMailer({ ...server, tls: 'tls' }, {})(letter)).rejects.toBeInstanceOf(MailError);
    expect((await mail.messages(mailbox('boss'))).filter((text) => text.includes('in clear text'))).toEqual([]);
    // The planted other side: the same letter does arrive where clear text is allowed.
    await createMailer({ ...server, tls: 'none' }, {})(letter);
    await eventually(
      async () =>
        (await mail.messages(mailbox('boss'))).some((text) => text.includes('in clear text')) ? true : undefined,
      'the letter',
    );
  });

  it('sends again under the same Message-ID after a kill between the server’s word and the mark', async () => {
    await world.stopNotices();
    const id = await joined(world, 'twice', { manager: 'boss' });
    wire.fail('half-open');
    await cut(world, 'twice');
    await eventually(async () => ((await noticesOf(id)).length > 0 ? true : undefined), 'the notice');
    const running = fork(join(await ensureBuild(), 'build', 'src', 'worker', 'main.js'), [], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: {
        ...world.workerEnvironment,
        TENURE_POLICY_DIR: await policyFolder(),
        TENURE_HOME: home,
        TENURE_LOG_LEVEL: 'silent',
        TENURE_SMTP_HOST: '127.0.0.1',
        TENURE_SMTP_PORT: String(wire.port),
        TENURE_SMTP_FROM: FROM,
        TENURE_SMTP_TLS: 'none',
        PATH: process.env['PATH'] ?? '',
      },
    });
    child = running;
    await eventually(async () => ((await arrived('twice')).length > 0 ? true : undefined), 'the first copy', 60_000);
    await kill();
    expect((await noticesOf(id)).filter((row) => row.state === 'sent')).toEqual([]);
    wire.fail('pass');
    world.startNotices();
    await eventually(
      async () => {
        const rows = await noticesOf(id);
        return rows.every((row) => row.state === 'sent') ? true : undefined;
      },
      'the mark',
      90_000,
    );
    const rows = await noticesOf(id);
    const copies = await eventually(async () => {
      const ids = messageIds(await arrived('twice'));
      return ids.length > rows.length ? ids : undefined;
    }, 'the second copy');
    expect(new Set(copies)).toEqual(new Set(rows.map((row) => `<tenure.notice.${row.notice_id}@${mailDomain}>`)));
  }, 200_000);

  /** The world's own policy as files: a worker process publishes what it is given. */
  async function policyFolder(): Promise<string> {
    const policy = await world.deps.policies.active(world.deps.db);
    for (const file of policy?.files ?? []) {
      mkdirSync(dirname(join(home, 'policy', file.path)), { recursive: true });
      writeFileSync(join(home, 'policy', file.path), file.text);
    }
    return join(home, 'policy');
  }
});
