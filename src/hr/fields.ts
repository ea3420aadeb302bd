import { z } from 'zod';
import { ATTRIBUTE_NAMES } from '../domain/ledger/types.js';
import type { AttributeName, Attributes } from '../domain/ledger/types.js';
import type { Instant, LocalDate, ZoneId } from '../domain/process/ids.js';
import { isZone } from '../domain/time/instants.js';
import { expects } from './problems.js';

/** Control characters and halves of surrogate pairs: no database keeps them. */
const UNSTORABLE = /[\p{Cc}\p{Cs}]/u;
const ZONE_NAME = /^(UTC|[A-Za-z_]+(\/[A-Za-z0-9_+-]+)+)$/;
const FIRST_YEAR = 1900;
const LAST_YEAR = 2199;

/** Text as a person wrote it: one line, no control characters, at most `max` characters, not empty (null clears, absence leaves alone). */
export function text(max: number): z.ZodType<string, string> {
  const expected = expects(`text of 1 to ${max} characters on one line, without control characters`);
  return z
    .string(expected)
    .max(max, expected)
    .refine((value) => value.trim() !== '' && !UNSTORABLE.test(value), expected)
    .transform((value) => value.normalize('NFC').trim());
}

/** A calendar date that exists, in a plausible year. */
export const localDate = z.iso
  .date(expects('a calendar date YYYY-MM-DD'))
  .refine(
    (value) => {
      const year = Number(value.slice(0, 4));
      return year >= FIRST_YEAR && year <= LAST_YEAR;
    },
    expects(`a year from ${FIRST_YEAR} to ${LAST_YEAR}; leave an open end out`),
  )
  .transform((value) => value as LocalDate);

/** An instant with an offset, kept in UTC with milliseconds. */
export const instant = z.iso
  .datetime({ offset: true, ...expects('an instant with offset, e.g. 2026-05-14T17:00:00+10:00') })
  .transform((value) => new Date(value).toISOString() as Instant);

/** An IANA zone name that this runtime knows; an offset is refused, it cannot follow the clocks. */
export const zone = z
  .string(expects('an IANA zone name, e.g. Europe/Berlin'))
  .refine((value) => isKnownZone(value), expects('an IANA zone name, e.g. Europe/Berlin'))
  .transform((value) => value as ZoneId);

/** Region names only: `EST` and the like are offsets in disguise and do not follow the clocks. */
export function isKnownZone(name: string): boolean {
  return ZONE_NAME.test(name) && isZone(name);
}

const CUSTOM_NAME = /^custom\.[A-Za-z][A-Za-z0-9_]{0,39}$/;
const MAX_CUSTOM = 50;
const attributeValue = text(512).nullable();
const attributeNames = `${ATTRIBUTE_NAMES.join(', ')} or custom.<name>`;

export function isAttributeName(name: string): name is AttributeName {
  return (ATTRIBUTE_NAMES as readonly string[]).includes(name) || CUSTOM_NAME.test(name);
}

const named = Object.fromEntries(ATTRIBUTE_NAMES.map((name) => [name, attributeValue.optional()]));
/** Known names and `custom.*`; anything else is refused by name, with the list of what there is. */
export const attributes = z
  .looseObject(named, expects('an object of attributes'))
  .superRefine((value, context) => {
    let custom = 0;
    for (const [name, one] of Object.entries(value)) {
      if (name in named) continue;
      if (!isAttributeName(name))
        context.addIssue({
          code: 'custom',
          path: [name],
          params: { problem: 'unknown field' },
          message: `expected: ${attributeNames}`,
        });
      else if (!attributeValue.safeParse(one).success)
        context.addIssue({
          code: 'custom',
          path: [name],
          params: { problem: 'wrong type' },
          message: 'expected: text of 1 to 512 characters, or null to clear',
        });
      else custom += 1;
    }
    if (custom > MAX_CUSTOM)
      context.addIssue({
        code: 'custom',
        params: { problem: 'too many' },
        message: `expected: at most ${MAX_CUSTOM} custom attributes`,
      });
  })
  .transform((value) => value as Attributes);
