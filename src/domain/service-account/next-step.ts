import type { IdentityId, Instant } from '../process/ids.js';
import type { SettledOutcome } from '../process/outcome.js';

/** What became of one question to one owner. `none`: not asked yet. */
export type Word = 'none' | 'pending' | 'remove' | 'keep' | 'expired';

/** The two questions to an owner: may it be closed and removed, and, after the scream test, is it still to be removed? */
export type Stage = 'removal' | 'confirmation';

/** Key of the approval by which one owner is asked one question of one round. */
export function voiceKey(stage: Stage, round: number, owner: IdentityId): string {
  return `service-account/${stage}/${round}/${owner}`;
}

/** One present owner, and what they said in the present round. */
export interface OwnerVoice {
  readonly owner: IdentityId;
  readonly removal: Word;
  readonly confirmation: Word;
}

/** What was last done to the account in this process. `open`: not over; `nothing-to-do`: the plan was empty. */
export interface Deed {
  readonly phase: 'scream-test' | 'restore' | 'delete';
  readonly outcome: SettledOutcome | 'open' | 'nothing-to-do';
}

/** All that is on record of a service account whose owners are asked. */
export interface Standing {
  /** Who owns it and works here now: whoever has left has no voice any more, whatever they said. */
  readonly owners: readonly OwnerVoice[];
  /** How many owners policy wants at least; never fewer than two. */
  readonly required: number;
  /** Whether the account was found at its target, and whether it was gone later. */
  readonly isFound: boolean;
  readonly isGone: boolean;
  readonly deed?: Deed;
  /** When the window of the scream test that stands ends. */
  readonly windowUntil?: Instant;
  /** Somebody with a right to it missed it. */
  readonly isScreamed: boolean;
  /** An operator saw the service refused, where no sign-in could be tried. */
  readonly isAttested: boolean;
  /** An operator decided to leave it as it was. */
  readonly isGivenUp: boolean;
  readonly now: Instant;
}

/** Questions that only an operator answers. */
export type OrphanCode =
  'account-not-found' | 'owners-missing' | 'owners-silent' | 'owners-disagree' | 'scream-test-unproven';

export type Ending = 'removed' | 'gone' | 'kept' | 'restored' | 'left-disabled';

export type Step =
  | { readonly step: 'find' | 'close' | 'restore' | 'remove' | 'await-voices' }
  | { readonly step: 'ask-owners'; readonly stage: Stage }
  | { readonly step: 'ask-operator'; readonly code: OrphanCode }
  | { readonly step: 'wait'; readonly until: Instant }
  | { readonly step: 'end'; readonly outcome: Ending };

const CARRIED_OUT: ReadonlySet<Deed['outcome']> = new Set<Deed['outcome']>([
  'proven',
  'unprovable',
  'by-hand',
  'absent',
]);

/**
 * What to do next with a service account that may not be needed any more, from what is on record and nothing else. It is removed only when every present owner (as
 * many as policy wants, at least two) agreed, it was proven closed, the window passed without a scream, and then one owner confirmed. One "keep" keeps it,
 * silence removes nothing. Pure (edge case 71).
 */
export function nextStep(standing: Standing): Step {
  const { deed, owners, required, windowUntil, now } = standing;
  if (deed?.phase !== 'scream-test' && deed?.outcome === 'skipped') return { step: 'end', outcome: 'left-disabled' };
  if (deed?.phase === 'delete' && CARRIED_OUT.has(deed.outcome)) return { step: 'end', outcome: 'removed' };
  if (standing.isGone) return { step: 'end', outcome: 'gone' };
  const state = stateOf(standing);
  if (isWantedBack(standing)) return state === 'untouched' ? afterRefusal(standing) : { step: 'restore' };
  if (!standing.isFound) return { step: 'find' };
  if (state === 'unproven') return { step: 'ask-operator', code: 'scream-test-unproven' };
  if (owners.length < Math.max(2, required)) return { step: 'ask-operator', code: 'owners-missing' };
  const agreement = answerOf(
    'removal',
    owners.map((one) => one.removal),
  );
  if (agreement !== 'given') return agreement;
  if (state !== 'closed') return { step: 'close' };
  if (windowUntil === undefined || now < windowUntil) return { step: 'wait', until: windowUntil ?? now };
  if (owners.some((one) => one.confirmation === 'remove')) return { step: 'remove' };
  const confirmation = answerOf(
    'confirmation',
    owners.map((one) => one.confirmation),
  );
  return confirmation === 'given' ? { step: 'remove' } : confirmation;
}

/** How the account stands by what this process did to it. `touched`: closed, half closed or half opened. */
function stateOf({ deed, isAttested }: Standing): 'untouched' | 'touched' | 'unproven' | 'closed' {
  if (deed === undefined) return 'untouched';
  switch (deed.phase) {
    case 'restore':
      return CARRIED_OUT.has(deed.outcome) || deed.outcome === 'nothing-to-do' ? 'untouched' : 'touched';
    case 'delete':
      return 'closed';
    case 'scream-test':
      if (deed.outcome === 'proven' || deed.outcome === 'by-hand') return 'closed';
      if (deed.outcome === 'unprovable') return isAttested ? 'closed' : 'unproven';
      return 'touched';
  }
}

function isWantedBack(standing: Standing): boolean {
  const { isScreamed, isGivenUp, owners } = standing;
  return isScreamed || isGivenUp || owners.some((one) => says(one, 'keep'));
}

function says(voice: OwnerVoice, word: Word): boolean {
  return voice.removal === word || voice.confirmation === word;
}

/** It stands as it did. Owners of different minds are an operator's matter. */
function afterRefusal({ owners, isScreamed, isGivenUp }: Standing): Step {
  if (isScreamed) return { step: 'end', outcome: 'restored' };
  const isDisputed =
    owners.some((one) => says(one, 'keep')) && owners.some((one) => !says(one, 'keep') && says(one, 'remove'));
  if (isDisputed && !isGivenUp) return { step: 'ask-operator', code: 'owners-disagree' };
  return { step: 'end', outcome: 'kept' };
}

/** Everybody is asked before anybody is waited for; whoever did not answer in time is an operator's matter. */
function answerOf(stage: Stage, words: readonly Word[]): Step | 'given' {
  if (words.includes('none')) return { step: 'ask-owners', stage };
  if (words.includes('pending')) return { step: 'await-voices' };
  if (words.includes('expired')) return { step: 'ask-operator', code: 'owners-silent' };
  return 'given';
}
