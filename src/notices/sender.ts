import type { Logger } from 'pino';
import type { Database } from '../db/database.js';
import type { KeyRing } from '../db/keys.js';
import { brand } from '../domain/process/ids.js';
import type { Instant } from '../domain/process/ids.js';
import { unverifiedReport } from '../report/signature.js';
import { findReport, readReport } from '../report/store.js';
import { loadPerson } from '../planning/person.js';
import { contractEndText, noticeText, reportLink } from './message.js';
import type { NoticeText } from './message.js';
import { noteFailed, noteSent, takeDue } from './outbox.js';
import type { DueNotice } from './outbox.js';
import { MailError } from './smtp.js';
import type { Mail, Mailer } from './smtp.js';

export interface SenderDeps {
  readonly db: Database;
  readonly keys: KeyRing;
  readonly mailer: Mailer;
  /** Where people reach the API; undefined: a notice names the report instead of linking it. */
  readonly publicUrl: string | undefined;
  readonly logger: Logger;
  readonly pollMs?: number;
  /** Before the second try; doubled for each one after it, up to an hour. */
  readonly firstPauseMs?: number;
}

const POLL_MS = 5_000;
/** Longer than a try can last. */
const FIRST_PAUSE_MS = 30_000;

/**
 * Sends what is in the outbox, at least once: a notice is marked only when the server has taken it, so a sender that dies in between sends it again, under the same
 * Message-ID. Several may run. Nothing waits for it.
 */
export class NoticeSender {
  readonly #deps: SenderDeps;
  #timer: NodeJS.Timeout | undefined;
  #working: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(deps: SenderDeps) {
    this.#deps = deps;
  }

  start(): void {
    const loop = (): void => {
      this.#working = this.#sendAll().finally(() => {
        if (!this.#isStopped) this.#timer = setTimeout(loop, this.#deps.pollMs ?? POLL_MS);
      });
    };
    loop();
  }

  /** Waits for the mail that is on its way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    await this.#working;
  }

  async #sendAll(): Promise<void> {
    try {
      while (!this.#isStopped) {
        const notice = await takeDue(this.#deps.db, this.#deps.firstPauseMs ?? FIRST_PAUSE_MS);
        if (notice === undefined) return;
        await this.#send(notice);
      }
    } catch (error) {
      this.#deps.logger.warn({ errorName: nameOf(error) }, 'the outbox of notices could not be worked on');
    }
  }

  async #send(notice: DueNotice): Promise<void> {
    const { db, keys, mailer, logger } = this.#deps;
    try {
      await mailer(await this.#mailOf(notice));
    } catch (error) {
      if (!(error instanceof MailError)) throw error;
      logger.warn({ noticeId: notice.noticeId, code: error.code }, 'a notice was not taken by the mail server');
      return noteFailed(db, notice.noticeId, error);
    }
    await noteSent(db, keys, notice, brand<Instant>(new Date().toISOString()));
  }

  async #mailOf(notice: DueNotice): Promise<Mail> {
    const { db, keys, publicUrl } = this.#deps;
    const { noticeId, kind, reportId } = notice;
    const to = await addressOf(db, notice.recipientId);
    // An address may come with the next fact from HR.
    if (to === undefined) throw new MailError('no-address', false);
    if (kind === 'contract-end') return { to, messageId: messageId(noticeId), ...(await this.#contractEnd(notice)) };
    const kept = reportId === null ? undefined : await findReport(db, { reportId });
    const text = kept === undefined ? undefined : await readReport(db, keys, kept);
    const report = text === undefined ? undefined : unverifiedReport(text);
    if (kept === undefined || report === undefined) throw new MailError('no-report', true);
    const link = publicUrl === undefined ? undefined : reportLink(publicUrl, kept.process_id, kept.version);
    return { to, messageId: messageId(noticeId), ...noticeText(kind, report, { version: kept.version, link }) };
  }

  /** As the ledger has it when the mail is written: one that was extended meanwhile is not announced for the old day. */
  async #contractEnd({ identityId }: DueNotice): Promise<NoticeText> {
    const { db, keys } = this.#deps;
    const person = await loadPerson(db, keys, identityId);
    const lastDay = person.stateAt(brand<Instant>(new Date().toISOString())).primary?.lastWorkingDay;
    if (lastDay === undefined) throw new MailError('no-contract-end', true);
    const profile = await db
      .selectFrom('identity_profile')
      .select('display_name')
      .where('identity_id', '=', identityId)
      .executeTakeFirst();
    return contractEndText({ name: profile?.display_name ?? 'a person of yours', lastDay });
  }
}

/** The same for every try. */
function messageId(noticeId: string): string {
  return `tenure.notice.${noticeId}`;
}

async function addressOf(db: Database, identityId: DueNotice['recipientId']): Promise<string | undefined> {
  if (identityId === null) return undefined;
  const row = await db
    .selectFrom('identity_profile')
    .select('mail')
    .where('identity_id', '=', identityId)
    .executeTakeFirst();
  return row?.mail === null || row?.mail === '' ? undefined : row?.mail;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : 'unknown';
}
