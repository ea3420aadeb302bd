import type { AccountRef, ObservedAccount, SignInAnswer } from '../../connectors/connector.js';
import { ConnectorError, isConnectorError } from '../../connectors/errors.js';
import { Secret } from '../../connectors/secret.js';
import { SYSTEM } from '../../db/keys.js';
import { sql } from 'kysely';
import type { Instant } from '../../domain/process/ids.js';
import { operationContext } from './fence.js';
import type { VisitContext } from './load.js';

/** A canary's answer holds for this long: long enough to serve one sweep, short enough to stand beside the probe it controls. */
const FRESH_MS = 5_000;

export interface CanaryAnswer {
  readonly answer: SignInAnswer['answer'];
  readonly at: Instant;
}

/** Recent answers by application; one per worker, made by the composition root. */
export type CanaryAnswers = Map<string, { readonly answer: CanaryAnswer; readonly readAt: number }>;

/**
 * Whether the application's canary can sign in now: the positive control of every negative probe (design D5). Makes the canary on first use: an account
 * of Tenure's own with a random secret, never in any plan. `unknown` when policy names none.
 */
export async function canaryAnswer(visit: VisitContext): Promise<CanaryAnswer> {
  const memory = visit.deps.canaryAnswers;
  const recent = memory.get(visit.row.application);
  if (recent !== undefined && performance.now() - recent.readAt < FRESH_MS) return recent.answer;
  const answer = { answer: await signIn(visit), at: visit.clock() };
  if (answer.answer === 'accepted') memory.set(visit.row.application, { answer, readAt: performance.now() });
  return answer;
}

async function signIn(visit: VisitContext): Promise<SignInAnswer['answer']> {
  const { canaryLogin, canaryAttributes } = visit.application;
  if (canaryLogin === undefined || visit.connector.probeSignIn === undefined) return 'unknown';
  const secret = await ensureCanary(visit, canaryLogin);
  const answer = await tryIn(visit, canaryLogin, secret);
  // A canary that lost its secret (a write that the target did not carry out, a restored backup), or that lacks what the target asks of an
  // account before it lets it in, would leave every later cut unproven. A disabled one is somebody's doing: a person decides.
  const mendable = answer === 'wrong-secret' || (answer === 'unknown' && canaryAttributes !== undefined);
  if (!mendable) return answer;
  const [found] = await findCanary(visit, canaryLogin);
  if (found !== undefined) await equip(visit, found.ref, secret);
  return tryIn(visit, canaryLogin, secret);
}

async function tryIn(visit: VisitContext, login: string, secret: Secret): Promise<SignInAnswer['answer']> {
  const ctx = operationContext(visit, `canary/${visit.row.application}/probe`, false);
  return (await visit.connector.probeSignIn?.(login, secret, ctx))?.answer ?? 'unknown';
}

function findCanary(visit: VisitContext, login: string): Promise<readonly ObservedAccount[]> {
  return visit.connector.find({ attribute: 'login', value: login }, operationContext(visit, keyOf(visit), false));
}

/** Gives a standing canary what policy says about it and its secret, and opens it. */
async function equip(visit: VisitContext, ref: AccountRef, secret: Secret): Promise<void> {
  const { connector } = visit;
  const context = (step: string) => operationContext(visit, `${keyOf(visit)}/${step}`, false);
  const wanted = Object.entries(visit.application.canaryAttributes ?? {});
  const delta = wanted.map(([attribute, value]) => ({ attribute, op: 'replace' as const, value }));
  if (delta.length > 0) await connector.update?.(ref, delta, context('update'));
  // Where a secret cannot be set by itself, a seal sets it; opening the account keeps it.
  if (connector.setSecret !== undefined) await connector.setSecret(ref, secret, context('secret'));
  else await connector.seal?.(ref, secret, context('secret'));
  await connector.enable?.(ref, context('enable'));
}

/** The canary's secret, after making sure the account stands with it. One worker at a time makes it; the others wait for the lock. */
async function ensureCanary(visit: VisitContext, login: string): Promise<Secret> {
  const { db, keys } = visit.deps;
  const { application } = visit.row;
  const context = `canary/${application}`;
  const ready = await db.selectFrom('canary').selectAll().where('application', '=', application).executeTakeFirst();
  if (ready !== undefined && ready.ready_at !== null)
    return secretOf(await keys.decryptFor(db, SYSTEM, context, ready.secret));
  return db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(hashtext(${`tenure/canary/${application}`}))`.execute(trx);
    const row = await trx.selectFrom('canary').selectAll().where('application', '=', application).executeTakeFirst();
    const secret =
      row === undefined ? Secret.random() : secretOf(await keys.decryptFor(trx, SYSTEM, context, row.secret));
    if (row !== undefined && row.ready_at !== null) return secret;
    const nativeId = await makeCanary(visit, login, secret).catch((error: unknown) => {
      throw ofCanary(error);
    });
    const sealed = await keys.encryptFor(trx, SYSTEM, context, secret.reveal());
    await trx
      .insertInto('canary')
      .values({ application, native_id: nativeId, login, secret: sealed, ready_at: visit.clock() })
      .onConflict((conflict) =>
        conflict.column('application').doUpdateSet({ native_id: nativeId, secret: sealed, ready_at: visit.clock() }),
      )
      .execute();
    return secret;
  });
}

async function makeCanary(visit: VisitContext, login: string, secret: Secret): Promise<string> {
  const { connector } = visit;
  const key = keyOf(visit);
  const [found] = await findCanary(visit, login);
  const attributes = visit.application.canaryAttributes ?? {};
  const ref =
    found?.ref ??
    (
      await connector.create?.(
        { objectClass: 'account', login, enabled: true, attributes },
        operationContext(visit, key, false),
      )
    )?.ref;
  if (ref === undefined) throw new Error('this target cannot hold a canary');
  await equip(visit, ref, secret);
  return ref.nativeId;
}

/** The account that the target did not take was the canary, not the person's: an operator has to see that in the code. */
function ofCanary(error: unknown): unknown {
  if (!isConnectorError(error)) return error;
  const { code, operation, sent, targetCode, retryAfterMs, attribute } = error;
  const named = targetCode === undefined ? 'canary' : `canary-${targetCode}`;
  return new ConnectorError({ code, operation, sent, targetCode: named, retryAfterMs, attribute });
}

function keyOf(visit: VisitContext): string {
  return `canary/${visit.row.application}`;
}

function secretOf(value: unknown): Secret {
  if (typeof value !== 'string') throw new Error('the canary has no readable secret');
  return new Secret(value);
}
