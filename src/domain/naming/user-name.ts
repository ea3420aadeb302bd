import type { CompiledPolicy, NameContext } from '../policy/types.js';
import { asciiName } from './ascii.js';

/** A person's name as HR wrote it. Null and absent are the same here. */
export interface PersonName {
  readonly givenName?: string | null | undefined;
  readonly familyName?: string | null | undefined;
  readonly middleName?: string | null | undefined;
  readonly preferredName?: string | null | undefined;
  /** BCP 47, chooses the transliteration table. */
  readonly locale?: string | null | undefined;
}

/** A mail address' local part is never longer (RFC 5321). */
const LOCAL_PART_LIMIT = 64;
const DEFAULT_COUNT = 99;
/** When nothing of a name can be written in ASCII. */
const FALLBACK = 'user';

/** The shortest login limit among the applications and the policy's own: a user name has to fit everywhere. */
export function loginLimit(policy: CompiledPolicy): number {
  const limits = policy.applications.flatMap((application) => application.limits['login'] ?? []);
  return Math.min(policy.lifecycle.userNames.maxLength, LOCAL_PART_LIMIT, ...limits);
}

/**
 * User-name candidates in order of preference, without repeats: patterns without a counter give one each, patterns with a counter give n = 2 to
 * `count`. Each fits `limit`; a counter survives the shortening. Deterministic, so two workers ask the register for the same names in the same
 * order (edge case 10). Never empty. Throws PolicyEvaluationError. Pure.
 */
export function candidates(
  name: PersonName,
  policy: CompiledPolicy,
  limit: number = loginLimit(policy),
  count: number = DEFAULT_COUNT,
): readonly string[] {
  const context = nameContext(name, policy);
  const found = new Set<string>();
  const isNameless = context.given === '' && context.family === '' && context.preferred === '';
  if (!isNameless) {
    policy.lifecycle.userNames.patterns.forEach((_, index) => {
      const last = policy.evaluate.usesCounter(index) ? count : 2;
      for (let n = 2; n <= last; n += 1) {
        const counter = policy.evaluate.usesCounter(index) ? String(n) : '';
        const made = fitted(policy.evaluate.userName(index, context, n), counter, limit);
        if (made.length >= 2 && made !== counter) {
          found.add(made);
        }
      }
    });
  }
  if (found.size === 0) {
    for (let n = 1; n <= count; n += 1) {
      found.add(fitted(n === 1 ? FALLBACK : `${FALLBACK}${n}`, n === 1 ? '' : String(n), limit));
    }
  }
  return [...found];
}

/** The company's mail address for a user name. Pure. */
export function mailAddress(userName: string, policy: CompiledPolicy): string {
  return `${userName}@${policy.lifecycle.userNames.mailDomain}`;
}

function nameContext(name: PersonName, policy: CompiledPolicy): NameContext {
  const tables = policy.lifecycle.userNames.transliteration;
  const ascii = (text: string | null | undefined): string => asciiName(text ?? '', name.locale ?? undefined, tables);
  const given = ascii(name.givenName);
  const family = ascii(name.familyName);
  return {
    given,
    family,
    middle: ascii(name.middleName),
    preferred: ascii(name.preferredName),
    givenInitial: given.slice(0, 1),
    familyInitial: family.slice(0, 1),
  };
}

/** Legal characters only, no separator at an end or twice (a one-word name leaves one behind), shortened before the counter. */
function fitted(made: string, counter: string, limit: number): string {
  const clean = made
    .toLowerCase()
    .replace(/[^a-z0-9._-]/g, '')
    .replace(/([._-])[._-]+/g, '$1')
    .replace(/^[._-]+|[._-]+$/g, '');
  const suffix = counter !== '' && clean.endsWith(counter) ? counter : '';
  const body = clean.slice(0, clean.length - suffix.length).slice(0, Math.max(1, limit - suffix.length));
  return `${body.replace(/[._-]+$/, '')}${suffix}`;
}
