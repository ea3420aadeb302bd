import { sql } from 'kysely';
import { maintenanceEnd } from '../../domain/policy/maintenance.js';
import type { ApplicationPolicy } from '../../domain/policy/types.js';
import type { Instant } from '../../domain/process/ids.js';
import { CUTTING_PHASES } from '../../domain/process/kinds.js';
import { siteQueue } from '../../workflows/messages.js';
import type { Classified } from '../lib/boundary.js';
import { plusMs } from '../lib/clock.js';
import { isRefusal } from '../open-connector.js';
import type { VisitContext } from './load.js';

/** Why a visit has to wait before it may reach its target; codes are in HELD_BACK. */
export interface HeldBack {
  readonly kind: 'later';
  readonly code: 'other-site' | 'maintenance' | 'quarantine' | 'rate';
  readonly retryAfterMs: number;
  readonly queue?: string;
}

/** Whoever waited for the same pause comes back spread over this part of it. */
const SPREAD = 0.2;

/**
 * Whether a visit may reach its target now: from here at all, outside of maintenance, not in quarantine, and with a token of the application's bucket. A visit that
 * cuts is held back by nothing but the site: a target that refuses everybody may still refuse only the others (edge cases 53, 55, 58). `after`: what
 * this visit has waited for already: after an operator's `retry` it asks a target in quarantine, after `rate` its token is its own. `troubled`: it may go, and
 * its success is news.
 */
export async function admit(visit: VisitContext, after: string | undefined): Promise<HeldBack | 'clear' | 'troubled'> {
  const { application, deps } = visit;
  if (application.site !== undefined && !deps.sites.has(application.site))
    return { kind: 'later', code: 'other-site', retryAfterMs: 0, queue: siteQueue(application.site) };
  if (CUTTING_PHASES.has(visit.row.phase)) return 'clear';
  const now = visit.clock();
  const open = maintenanceEnd(application.maintenance, now);
  if (open !== undefined) return held('maintenance', open, now);
  const isTroubled = (visit.row.failures ?? 0) > 0 || visit.row.quarantined_since !== null;
  if (after !== 'retry') {
    const until = await inQuarantine(visit, application, now);
    if (until !== undefined) return held('quarantine', until, now);
  }
  const { rate } = application;
  const waits = rate === undefined || after === 'rate' ? undefined : await takeToken(visit, rate, now);
  return waits ?? (isTroubled ? 'troubled' : 'clear');
}

function held(code: HeldBack['code'], until: Instant, now: Instant): HeldBack {
  const leftMs = Math.max(0, Date.parse(until) - Date.parse(now));
  return { kind: 'later', code, retryAfterMs: Math.ceil(leftMs * (1 + Math.random() * SPREAD)) };
}

/** The end of the pause; undefined for the one visit that asks when a pause is over: it begins the next one as it goes, so that nobody follows. */
async function inQuarantine(
  visit: VisitContext,
  { slug, quarantine }: ApplicationPolicy,
  now: Instant,
): Promise<Instant | undefined> {
  const until = visit.row.quarantined_until;
  const pauses = visit.row.pauses ?? 0;
  if (until === null || until > now) return until ?? undefined;
  const pauseMs = Math.min(quarantine.pauseMs * 2 ** pauses, quarantine.longestPauseMs);
  const next = plusMs(now, pauseMs);
  const mine = await visit.deps.db
    .updateTable('application_state')
    .set({ quarantined_until: next, pauses: pauses + 1 })
    .where('application', '=', slug)
    .where('quarantined_until', '=', until)
    .returning('application')
    .executeTakeFirst();
  return mine === undefined ? next : undefined;
}

/** One token of the bucket that all workers share, refilled by the time that went by; without one, how long until there is. */
async function takeToken(
  visit: VisitContext,
  rate: NonNullable<ApplicationPolicy['rate']>,
  now: Instant,
): Promise<HeldBack | undefined> {
  const { rows } = await sql<{ left: number }>`
    insert into application_state as s (application, tokens, refilled_at)
    values (${visit.application.slug}, ${rate.burst - 1}, ${now})
    on conflict (application) do update set
      tokens = least(${rate.burst}::float8, coalesce(s.tokens + ${rate.perSecond}::float8
        * greatest(0, extract(epoch from excluded.refilled_at - s.refilled_at)), ${rate.burst}::float8)) - 1,
      refilled_at = greatest(excluded.refilled_at, s.refilled_at)
    returning tokens as left`.execute(visit.deps.db);
  const left = Number(rows[0]?.left ?? 0);
  if (left >= 0) return undefined;
  // Taken on credit: this visit's token comes when those before it have had theirs, and it goes then (`after`) without taking another.
  return { kind: 'later', code: 'rate', retryAfterMs: Math.ceil((-left / rate.perSecond) * 1_000) };
}

/**
 * Counts a visit whose first try found the target down, or the connector's credential refused: then nothing is asked any more at once (edge case 55). A visit
 * that is tried again says nothing new.
 */
export async function noteDown(visit: VisitContext, classified: Classified): Promise<void> {
  const { type, code } = classified;
  const isRefused = isRefusal(classified);
  // One that did not answer within a sweep's short time is slow, not down: it goes on by itself.
  const isDown = type === 'TargetUnavailable' && code.startsWith('UNAVAILABLE');
  if ((!isDown && !isRefused) || visit.row.attempt > 0) return;
  const { quarantine, slug } = visit.application;
  const now = visit.clock();
  const until = plusMs(now, quarantine.pauseMs);
  const after = isRefused ? 1 : quarantine.after;
  const { rows } = await sql<{ since: Instant | null }>`
    insert into application_state as s (application, failures, code, quarantined_since, quarantined_until)
    values (${slug}, 1, ${code}, ${after <= 1 ? now : null}, ${after <= 1 ? until : null})
    on conflict (application) do update set
      failures = s.failures + 1, code = excluded.code,
      quarantined_since = case when s.failures + 1 >= ${after} then coalesce(s.quarantined_since, ${now}) else s.quarantined_since end,
      quarantined_until = case when s.failures + 1 >= ${after} then coalesce(s.quarantined_until, ${until}) else s.quarantined_until end
    returning quarantined_since as since`.execute(visit.deps.db);
  if (rows[0]?.since === now)
    visit.deps.logger.error({ application: slug, code }, 'an application is in quarantine: its target is down');
}

/** A visit that reached its target ends the quarantine; the others come as their pauses end. */
export async function noteUp(visit: VisitContext): Promise<void> {
  const { slug } = visit.application;
  const row = await visit.deps.db
    .updateTable('application_state')
    .set({ failures: 0, pauses: 0, code: null, quarantined_since: null, quarantined_until: null })
    .where('application', '=', slug)
    .where((eb) => eb.or([eb('failures', '>', 0), eb('quarantined_since', 'is not', null)]))
    .returning('application')
    .executeTakeFirst();
  if (row !== undefined) visit.deps.logger.info({ application: slug }, 'an application is reached again');
}
