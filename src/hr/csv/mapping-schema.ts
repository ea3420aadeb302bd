import { z } from 'zod';
import { isAttributeName, isKnownZone } from '../fields.js';
import { expects } from '../problems.js';
import { compileDateFormat } from './dates.js';
import { ENCODINGS } from './decode.js';
import { DELIMITERS } from './parse.js';

const cel = z.string(expects('a CEL expression')).min(1).max(2000);
const alias = z.string().regex(/^[a-z][A-Za-z0-9]*$/, expects('a short name such as entryDate'));
const header = z.union(
  [z.string().min(1), z.array(z.string().min(1)).min(1)],
  expects('a header, or a list of headers'),
);

/** What a column's header may be called, and whether it must be there and filled. */
const column = z.union(
  [header, z.strictObject({ header, required: z.boolean().default(false), optional: z.boolean().default(false) })],
  expects('a header, a list of headers, or { header, required, optional }'),
);

export const NAME_ORDERS = ['given-family', 'family-given', 'family-comma-given'] as const;
export const STANDINGS = ['employed', 'leave', 'ended', 'ignore'] as const;
export type Standing = (typeof STANDINGS)[number];

const dates = z.strictObject({
  startOn: cel,
  endOn: cel.optional(),
  lastWorkingDay: cel.optional(),
  noticeOn: cel.optional(),
  leaveFrom: cel.optional(),
  leaveUntil: cel.optional(),
  effectiveOn: cel.optional(),
});
export type DateField = keyof z.infer<typeof dates>;

/** The mapping file: columns to attributes. Strict; see docs/hr-import.md. */
export const mappingSchema = z.strictObject({
  source: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, expects('1 to 64 of a-z, 0-9, dot, dash, underscore')),
  file: z
    .strictObject({
      encoding: z.enum(['auto', ...ENCODINGS]).default('auto'),
      delimiter: z.enum(['auto', ...DELIMITERS]).default('auto'),
    })
    .prefault({}),
  zone: z.strictObject({
    default: z.string().refine(isKnownZone, expects('an IANA zone name, e.g. Europe/Berlin')),
    from: cel.optional(),
  }),
  dateFormats: z
    .array(
      z
        .string()
        .refine(
          (format) => compileDateFormat(format) !== undefined,
          expects('a format of yyyy, MM, M, MMM, dd, d, e.g. dd.MM.yyyy'),
        ),
    )
    .min(1),
  columns: z.record(alias, column),
  person: cel,
  employment: cel,
  worker: cel.default("'employee'"),
  manager: cel.optional(),
  manner: cel.optional(),
  name: z.strictObject({ from: cel, order: z.enum(NAME_ORDERS) }).optional(),
  dates,
  status: z
    .strictObject({ from: cel, values: z.record(z.string(), z.enum(STANDINGS, expects(STANDINGS.join(', ')))) })
    .optional(),
  attributes: z.record(z.string().refine(isAttributeName, expects('a known attribute or custom.<name>')), cel),
});
export type MappingFile = z.infer<typeof mappingSchema>;
