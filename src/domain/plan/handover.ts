import type { HandoverPolicy, MailDelegation } from '../policy/types.js';
import type { ApplicationSlug } from '../process/ids.js';
import { askedOperation, operation } from './operations.js';
import type { VisitInput } from './operations.js';
import type { Heir, Operation, PlannedForwarding } from './types.js';

/** Who may take over from a leaver: the nearest manager up the line who still works here. */
export interface HeirInput {
  readonly mail: string;
  readonly accounts: ReadonlyMap<ApplicationSlug, { readonly nativeId: string; readonly login: string }>;
}

export interface HandoverInput {
  /** The leaver's name, for auto-replies. */
  readonly name: string;
  /** Undefined: HR names no manager, or nobody up the line works here any more. */
  readonly heir: HeirInput | undefined;
}

/**
 * Tier 3: what somebody owned goes to the heir, and mail that still comes goes to the delegate, as the application's policy says. Without an heir a person is
 * asked. Pure.
 */
export function handoverOperations(visit: VisitInput, policy: HandoverPolicy | undefined): readonly Operation[] {
  const { ownership, mail } = policy ?? {};
  return [...(ownership === undefined ? [] : [transfer(visit, ownership)]), ...delegateOperations(visit, mail)];
}

/** Mail that comes for somebody who is not there goes to the delegate; without one a person is asked. None without a policy. Pure. */
export function delegateOperations(visit: VisitInput, mail: MailDelegation | undefined): readonly Operation[] {
  return mail === undefined ? [] : [forward(visit, mail)];
}

/** Mail is the person's own again. Pure. */
export function endDelegation(visit: VisitInput): Operation {
  return operation(visit, 'set-forwarding', [visit.lifecycleReason], { forwarding: { keepsCopy: true } });
}

function transfer(visit: VisitInput, ownership: NonNullable<HandoverPolicy['ownership']>): Operation {
  const heir = ownership === 'manager' ? heirHere(visit) : ownership;
  return heir === undefined
    ? askedOperation(visit, 'transfer-ownership', [visit.lifecycleReason])
    : operation(visit, 'transfer-ownership', [visit.lifecycleReason], { heir });
}

function heirHere(visit: VisitInput): Heir | undefined {
  const account = visit.handover?.heir?.accounts.get(visit.application);
  // One account, two people: what is given to oneself is given to nobody.
  return account === undefined || account.nativeId === visit.actual?.nativeId ? undefined : account;
}

function forward(visit: VisitInput, mail: MailDelegation): Operation {
  const to = mail.to === 'manager' ? visit.handover?.heir?.mail : mail.to;
  if (to === undefined || to === '') {
    return askedOperation(visit, 'set-forwarding', [visit.lifecycleReason]);
  }
  const filled = (text: string): string =>
    text.replaceAll('{name}', visit.handover?.name ?? '').replaceAll('{delegate}', to);
  const forwarding: PlannedForwarding = {
    to,
    keepsCopy: mail.keepsCopy,
    ...(mail.autoReply === undefined
      ? {}
      : { autoReply: { subject: filled(mail.autoReply.subject), text: filled(mail.autoReply.text) } }),
  };
  return operation(visit, 'set-forwarding', [visit.lifecycleReason], { forwarding });
}
