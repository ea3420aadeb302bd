import type { AccountRef, Forwarding, MutationResult, OperationContext } from '../connector.js';
import { ConnectorError } from '../errors.js';
import type { MailContext } from './context.js';
import { requireMailbox } from './context.js';
import type { SieveServer, SieveSession } from './managesieve.js';
import { withScripts } from './managesieve.js';
import { SCRIPT_NAME, isOwn, maySendElsewhere, readScript, renderScript, wrongPart } from './script.js';

/**
 * What the active script does, read on a new connection. Undefined when none is active, or a person's own one that sends
 * nothing anywhere. A script that nobody here can read, and that may send mail elsewhere, is UNSUPPORTED
 * (`foreign-script`): unknown is never "nothing".
 */
export async function readForwarding(
  mail: MailContext,
  server: SieveServer,
  ref: AccountRef,
  ctx: OperationContext,
): Promise<Forwarding | undefined> {
  const operation = 'readForwarding';
  await requireMailbox(mail, ref, operation, ctx);
  return withScripts(server, ref.nativeId, operation, ctx, mail.config.requestTimeoutMs, async (session) => {
    const { active } = await session.list();
    if (active === undefined) return undefined;
    const text = (await session.get(active)) ?? '';
    const own = active === SCRIPT_NAME ? readScript(text) : undefined;
    if (own !== undefined) return own.forwarding;
    if (!maySendElsewhere(text)) return undefined;
    throw new ConnectorError({ code: 'UNSUPPORTED', operation, sent: false, targetCode: 'foreign-script' });
  });
}

/**
 * Puts Tenure's script in place and makes it the active one, or takes it away and puts back what was active before. A
 * person's own script stays, inactive. Safe to repeat: a call that ended between two steps is completed by the next.
 * INVALID (the server or the check refused it, nothing changed), CONFLICT (`tenure` is somebody's own script),
 * NOT_FOUND, AMBIGUOUS.
 */
export async function setForwarding(
  mail: MailContext,
  server: SieveServer,
  ref: AccountRef,
  forwarding: Forwarding,
  ctx: OperationContext,
): Promise<MutationResult> {
  const operation = 'setForwarding';
  const attribute = wrongPart(forwarding);
  if (attribute !== undefined) throw new ConnectorError({ code: 'INVALID', operation, sent: false, attribute });
  await requireMailbox(mail, ref, operation, ctx);
  return withScripts(server, ref.nativeId, operation, ctx, mail.config.requestTimeoutMs, async (session) => {
    const { active } = await session.list();
    const there = await session.get(SCRIPT_NAME);
    if (there !== undefined && there !== '' && !isOwn(there)) {
      throw new ConnectorError({ code: 'CONFLICT', operation, sent: false, targetCode: 'script-not-ours' });
    }
    const wantsNothing = forwarding.to === undefined && forwarding.autoReply === undefined;
    const changed = wantsNothing
      ? await takeAway(session, active, there)
      : await putInPlace(session, active, there, forwarding);
    return { outcome: changed ? 'applied' : 'already-in-state', ref, changed: [] };
  });
}

async function putInPlace(
  session: SieveSession,
  active: string | undefined,
  there: string | undefined,
  forwarding: Forwarding,
): Promise<boolean> {
  // What is active now comes back later; once ours is active, only our script remembers what was before.
  const previous = active === SCRIPT_NAME ? readScript(there ?? '')?.previous : active;
  const script = renderScript({ forwarding, previous });
  if (there === script && active === SCRIPT_NAME) return false;
  if (there !== script) await session.put(SCRIPT_NAME, script);
  if (active !== SCRIPT_NAME) await session.activate(SCRIPT_NAME);
  return true;
}

/** The old script is active again before ours goes: in no moment does a person's own filtering get lost. */
async function takeAway(
  session: SieveSession,
  active: string | undefined,
  there: string | undefined,
): Promise<boolean> {
  if (there === undefined) return false;
  if (active === SCRIPT_NAME) {
    const previous = readScript(there)?.previous;
    const { names } = await session.list();
    await session.activate(previous !== undefined && names.includes(previous) ? previous : '');
  }
  await session.remove(SCRIPT_NAME);
  return true;
}
