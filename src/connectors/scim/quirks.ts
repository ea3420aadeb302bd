import { z } from 'zod';

/** Where a server departs from RFC 7643 and 7644, or leaves out what they make optional. Absent = as the RFCs say. */
const flags = {
  /** Whole users are replaced, whatever the server announces. */
  putOnly: z.boolean().optional(),
  /** `active` is read and written as "True" and "False". */
  activeAsText: z.boolean().optional(),
  /** `op` of a PATCH: "Add", "Replace", "Remove" instead of lower case. */
  opCase: z.enum(['lower', 'title']).optional(),
  /** A PATCH of a user names no path: its value is an object of attributes, null clears one. */
  patchWithoutPath: z.boolean().optional(),
  /** How members change: one PATCH of the group, PUT of the whole group, or PATCH of `groups` at the user. */
  groupWrite: z.enum(['patch', 'put', 'user']).optional(),
  /** False: the filter `members.value eq` is not there, all groups are read instead. */
  memberFilter: z.boolean().optional(),
  /** What finds a created account again where `externalId` is not kept: another attribute, or `login`. */
  adoptBy: z.string().min(1).optional(),
  /** False: every list begins with the first user, whatever is asked; it is then read whole. */
  startIndex: z.boolean().optional(),
  /** False: userName cannot be changed. */
  rename: z.boolean().optional(),
  /** True: DELETE only deactivates, so this server cannot delete. */
  deleteDeactivates: z.boolean().optional(),
  /** X-RateLimit-Reset and its like tell the delay where Retry-After is missing; 403 with nothing remaining is a 429. */
  rateHeaders: z.boolean().optional(),
};

const flagsSchema = z.strictObject(flags);
/** Each of them changes what is sent; those that also change what can be done have a variant in capabilities.json. */
export const quirkNames = Object.keys(flags) as readonly (keyof typeof flags)[];
export type QuirkFlags = z.infer<typeof flagsSchema>;

/**
 * Sets of flags for servers in the style of well-known services, put together from their public documentation. None has been tried against the
 * service itself: they are a place to begin, and `tenure app test` and the flags go on from there.
 */
export const quirkProfiles = {
  'salesforce-style': { deleteDeactivates: true, memberFilter: false },
  'slack-style': { deleteDeactivates: true, memberFilter: false, rateHeaders: true },
  'zoom-style': { rename: false, memberFilter: false, adoptBy: 'login', rateHeaders: true },
  'github-style': { memberFilter: false, rateHeaders: true, opCase: 'title', activeAsText: true },
  'atlassian-style': {
    putOnly: true,
    groupWrite: 'patch',
    memberFilter: false,
    deleteDeactivates: true,
    rateHeaders: true,
  },
} as const satisfies Readonly<Record<string, QuirkFlags>>;

const profileName = z.enum(Object.keys(quirkProfiles) as [keyof typeof quirkProfiles]);

/** A profile by name, or flags, which may begin with a profile (`style`). */
export const quirksSchema = z.union([profileName, flagsSchema.extend({ style: profileName.optional() })]);

/** The flags that hold: those of the profile, overridden by the ones that are written out. */
export function quirksOf(configured: z.infer<typeof quirksSchema> | undefined): QuirkFlags {
  if (configured === undefined) return {};
  if (typeof configured === 'string') return quirkProfiles[configured];
  const { style, ...own } = configured;
  return { ...(style === undefined ? {} : quirkProfiles[style]), ...own };
}

/** `active` as this server says it; undefined when it says nothing that is understood. */
export function activeOf(quirks: QuirkFlags, value: unknown): boolean | undefined {
  if (typeof value === 'boolean') return value;
  if (quirks.activeAsText !== true || typeof value !== 'string') return undefined;
  return { true: true, false: false }[value.toLowerCase()];
}

export function activeFor(quirks: QuirkFlags, active: boolean): boolean | string {
  return quirks.activeAsText === true ? (active ? 'True' : 'False') : active;
}
