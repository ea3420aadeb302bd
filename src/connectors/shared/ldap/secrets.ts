import type { Control } from 'ldapts';
import type { AccountRef, AccountStatus, MutationResult, OperationContext, SignInAnswer } from '../../connector.js';
import { Secret } from '../../secret.js';
import type { SecretSink } from '../../secret.js';
import { timeLimit } from '../time-limit.js';
import { discard, openConnection } from './connections.js';
import type { BindOutcome, DirectoryContext } from './dialect.js';
import { entriesBy, requireEntry } from './entries.js';
import { networkCode, resultCodeOf } from './result-codes.js';

/** Sets a secret that only the caller holds and disables, in one modification. Always writes. */
export async function sealAccount(
  context: DirectoryContext,
  ref: AccountRef,
  secret: Secret,
  ctx: OperationContext,
): Promise<MutationResult & { readonly atomic: boolean }> {
  return context.directory.run('seal', ctx, async (session) => {
    const entry = await requireEntry(context, session, ref, 'seal');
    await context.dialect.seal(session, entry, secret);
    return { outcome: 'applied', ref, changed: [], atomic: true };
  });
}

/** Sets the secret; an account that is disabled stays so. Always writes: a secret cannot be read. */
export async function setSecret(
  context: DirectoryContext,
  ref: AccountRef,
  secret: Secret,
  ctx: OperationContext,
): Promise<MutationResult> {
  return context.directory.run('setSecret', ctx, async (session) => {
    const entry = await requireEntry(context, session, ref, 'setSecret');
    await context.dialect.writeSecret(session, entry, secret, false);
    return { outcome: 'applied', ref, changed: [] };
  });
}

/** The sink gets the new secret before the directory does: a failing hand-over changes nothing. */
export async function resetCredentials(
  context: DirectoryContext,
  ref: AccountRef,
  sink: SecretSink,
  ctx: OperationContext,
): Promise<MutationResult & { readonly secretReference: string }> {
  return context.directory.run('resetCredentials', ctx, async (session) => {
    const entry = await requireEntry(context, session, ref, 'resetCredentials');
    const secret = Secret.random();
    const { reference } = await sink.put(secret);
    await context.dialect.writeSecret(session, entry, secret, true);
    return { outcome: 'applied', ref, changed: [], secretReference: reference };
  });
}

/** One real bind on a connection of its own, as the account. */
export async function probeSignIn(
  context: DirectoryContext,
  login: string,
  secret: Secret,
  ctx: OperationContext,
): Promise<SignInAnswer> {
  const { directory, dialect, config } = context;
  const { road } = dialect;
  const found = await directory.verifying('probeSignIn', ctx, (session) =>
    entriesBy(context, session, config.accounts.login, login),
  );
  const [entry] = found;
  // A simple bind without a password is accepted by most directories, and is nobody's sign-in.
  if (entry === undefined || found.length > 1 || secret.reveal() === '') {
    return { answer: 'unknown', code: entry === undefined ? 'no-such-account' : 'not-tried', road };
  }
  const outcome = await tryBind(context, dialect.bindName(entry), secret, ctx);
  if (typeof outcome === 'string') {
    return { answer: 'unknown', code: outcome, road };
  }
  const reread = async (): Promise<AccountStatus> => {
    const [now] = await directory.verifying('probeSignIn', ctx, (session) =>
      entriesBy(context, session, config.accounts.login, login),
    );
    return now === undefined ? 'unknown' : dialect.statusOf(now);
  };
  return { ...(await dialect.signInAnswer(outcome, reread)), road };
}

/** What a bind was answered, or the code of what kept it from being answered. */
async function tryBind(
  context: DirectoryContext,
  name: string,
  secret: Secret,
  ctx: OperationContext,
): Promise<BindOutcome | string> {
  const { settings } = context.directory;
  const limit = timeLimit(ctx, 'probeSignIn', settings.requestTimeoutMs);
  const control: Control | undefined = context.dialect.bindControl();
  try {
    discard(await openConnection(settings, limit.signal, { name, password: secret, control }));
    return { resultCode: 0, message: '', control };
  } catch (error) {
    const resultCode = resultCodeOf(error);
    return resultCode === undefined
      ? networkCode(error)
      : { resultCode, message: error instanceof Error ? error.message : '', control };
  } finally {
    limit.end();
  }
}
