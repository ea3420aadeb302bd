import { z } from 'zod';
import { OPERATION_KINDS } from '../process/kinds.js';
import { isZone } from '../time/instants.js';
import { WEEKDAYS } from './maintenance.js';

const slug = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,40}$/)
  .describe('Lower-case letters, digits and hyphens, starting with a letter.');
const expression = z.string().min(1).describe('CEL expression, see docs/policy.md for the fields it can read.');
const duration = z
  .string()
  .regex(/^[0-9]+(ms|s|m|h|d)$/)
  .describe('A whole number with a unit: ms, s, m, h or d, e.g. 60s.');
const clock = z
  .string()
  .regex(/^([01][0-9]|2[0-3]):[0-5][0-9]$/)
  .describe('HH:MM');
const days = z.int().min(0).max(36_500);

const line = z
  .string()
  .min(1)
  .regex(/^[^\r\n]*$/)
  .max(200);
const mailDelegation = z.strictObject({
  to: z.union([z.literal('manager'), z.email()]).describe('The manager, or an address.'),
  keepsCopy: z.boolean().default(true),
  autoReply: z
    .strictObject({ subject: line, text: z.string().min(1).max(4_000) })
    .optional()
    .describe('What a sender is told; {name} is whom the mail was for, {delegate} the address that it goes to.'),
});
const handover = z
  .strictObject({
    ownership: z
      .union([z.literal('manager'), z.strictObject({ login: z.string().min(1) })])
      .optional()
      .describe('Who gets what a leaver owns here: the manager, or the account with this login.'),
    mail: mailDelegation.optional(),
  })
  .describe('What becomes of the things of somebody who left (Tier 3).');

const serviceAccounts = z
  .strictObject({
    when: expression
      .optional()
      .describe(
        'Boolean CEL over account.login, account.attributes.NAME and account.entitlements: which of the accounts that belong to nobody are service accounts.',
      ),
    secrets: z
      .record(z.string().min(1), z.string())
      .default({})
      .describe(
        "Login: reference to the service's own secret (env:, file: or vault:). With it, closing and restoring are proven by a real sign-in.",
      ),
  })
  .describe('Accounts of programs, not of people.');

export const applicationSchema = z
  .strictObject({
    slug,
    name: z.string().min(1),
    connector: z.string().min(1).describe('Connector kind, e.g. scim, sql, manual.'),
    config: z
      .record(z.string(), z.unknown())
      .default({})
      .describe(
        "Checked by the connector's own schema. Secrets by reference only: env:NAME, file:PATH or vault:MOUNT/PATH#FIELD.",
      ),
    mode: z
      .enum(['sync', 'jit', 'manual'])
      .default('sync')
      .describe('sync: written by Tenure. jit: made by the first sign-in. manual: done by a person.'),
    criticality: z.enum(['critical', 'standard', 'low']).default('standard'),
    dependsOn: z.array(slug).default([]).describe('Applications whose account must stand first.'),
    login: expression,
    attributes: z.record(z.string().min(1), expression).default({}).describe('Target attribute: CEL expression.'),
    limits: z.record(z.string(), z.int().min(1)).default({}).describe('Length limits at the target, e.g. login: 20.'),
    correlation: z
      .strictObject({ strong: z.array(z.string()).default([]), weak: z.array(z.string()).default([]) })
      .default({ strong: [], weak: [] })
      .describe('Mapped attributes (or login) that recognise an existing account: strong adopts, weak asks a person.'),
    archive: z.enum(['none', 'archive', 'disable-only']).default('none'),
    delete: z.enum(['none', 'delete', 'anonymise']).default('none'),
    administrators: z
      .array(z.string().min(1).max(400))
      .max(50)
      .default([])
      .describe(
        'Entitlements here that administer the application itself: whoever leaves as the last of one is told of.',
      ),
    handover: handover.optional(),
    serviceAccounts: serviceAccounts.optional(),
    leave: z
      .strictObject({ mail: mailDelegation })
      .optional()
      .describe('Where the mail of somebody on extended leave goes until the return.'),
    preStart: z.boolean().default(false).describe('May accounts be made here (disabled) before the person starts?'),
    canaryLogin: z
      .string()
      .min(1)
      .optional()
      .describe('Account that must still sign in for a negative probe to count.'),
    canaryAttributes: z
      .record(z.string().min(1), z.string())
      .optional()
      .describe('What the target asks of an account before it lets it in, for the canary: target attribute and value.'),
    instructions: z
      .string()
      .optional()
      .describe('For the person who does it by hand; {name} is replaced by an attribute.'),
    settle: duration.default('0s').describe('How long a read may lag behind a write.'),
    sweepTimeout: duration.default('5s').describe('How long a visit may stay inside a sweep.'),
    rate: z
      .strictObject({
        perSecond: z.number().positive().max(10_000),
        burst: z.number().int().positive().max(10_000).default(1),
      })
      .optional()
      .describe('Visits that the target takes, from all workers together. A cut does not wait for it.'),
    maintenance: z
      .array(
        z.strictObject({
          days: z
            .array(z.enum(WEEKDAYS))
            .min(1)
            .default([...WEEKDAYS])
            .describe('The days on which it begins.'),
          from: clock,
          to: clock.describe('Wall clock; a time before from is on the next day.'),
          zone: z.string().refine(isZone, 'must be an IANA zone, e.g. Europe/Berlin'),
        }),
      )
      .default([])
      .describe('Times at which nobody but a cut writes there.'),
    quarantine: z
      .strictObject({
        after: z.int().min(1).max(1_000).default(5),
        pause: duration.default('30s'),
        longestPause: duration.default('15m'),
      })
      .prefault({})
      .describe(
        'After so many visits in a row that found it down, one asks again after each pause and the others wait.',
      ),
    site: slug.optional().describe('Only workers that are started for this site reach the target.'),
  })
  .describe('One application of a Tenure policy.');

export const roleSchema = z
  .strictObject({
    slug,
    name: z.string().min(1),
    when: expression.optional().describe('Birthright rule, boolean CEL. Without it the role is only assigned.'),
    cutAtNotice: z.boolean().default(false).describe('Taken away as soon as notice is given.'),
    grants: z
      .array(
        z.strictObject({
          application: slug,
          entitlement: z.string().min(1).optional().describe('Without it: the account alone.'),
          sensitive: z.boolean().default(false).describe('Needs an approval first.'),
        }),
      )
      .min(1),
  })
  .describe('One role of a Tenure policy.');

const operationDeadlines = z
  .partialRecord(z.enum(OPERATION_KINDS), duration)
  .describe('Operations with a deadline of their own.');
const tier = z.strictObject({ deadline: duration, operations: operationDeadlines.default({}) });
/** Second factors and keys may take longer than closing the account itself (seed: under 5 minutes). */
const firstTier = tier.extend({ operations: operationDeadlines.default({ 'revoke-credentials': '5m' }) });

export const lifecycleSchema = z
  .strictObject({
    leadTimeDays: days.describe('How long before the start accounts are made, disabled.'),
    moverGraceDays: days.describe('How long old access stays after a move; 0 = not at all.'),
    tiers: z.strictObject({ T1: firstTier, T2: tier, T3: tier, T4: tier }),
    archiveAfterDays: days,
    deleteAfterDays: days,
    approvals: z.strictObject({
      expiresAfterDays: days,
      onExpiry: z.literal('deny'),
      fallback: z
        .array(z.string().min(1).max(320))
        .max(10)
        .default([])
        .describe(
          'Who decides, first come first, where nobody up the line of managers works here: user name or mail address.',
        ),
    }),
    leave: z
      .strictObject({ extendedFromDays: z.int().min(1).max(36_500).default(30) })
      .prefault({})
      .describe('From how many days a leave of absence closes the accounts until the return.'),
    contractEnd: z
      .strictObject({ warnDays: z.array(z.int().min(1).max(366)).max(10).default([30, 14, 3]) })
      .prefault({})
      .describe('How many days before a contract ends its sponsor, the manager, is warned.'),
    visitPatience: duration.describe('How long a troubled visit is repeated before a person is asked.'),
    killSwitch: z
      .strictObject({
        fourEyesAbove: z.int().min(0).max(1_000).default(5),
        atMost: z.int().min(1).max(1_000).default(1_000),
        proposalExpiresAfter: duration.default('4h'),
      })
      .prefault({})
      .describe(
        'Cuts of many people at once: above how many a second person confirms, how long that may take, how many at most.',
      ),
    erasure: z
      .strictObject({
        keepDays: days.default(3_650),
        proposalExpiresAfter: duration.default('7d'),
      })
      .prefault({})
      .describe(
        'Erasure requests: how long after the end of access the records of a person must be kept, and how long a second person has to confirm.',
      ),
    recutSettle: duration.describe('Wait before a cut is probed again when an older write was in flight.'),
    staysDead: z
      .array(duration)
      .max(20)
      .default(['1m', '15m', '24h', '7d', '90d'])
      .describe('How long after a cut every account that it closed is looked at again.'),
    serviceAccounts: z
      .strictObject({
        owners: z.int().min(2).max(20).default(2),
        screamTest: duration.default('14d'),
      })
      .prefault({})
      .describe('How many owners must agree before one is removed, and how long it stays closed before that.'),
    userNames: z.strictObject({
      patterns: z.array(expression).min(1).describe('CEL over name.* and n, tried in order; n counts from 2.'),
      maxLength: z.int().min(4).max(256),
      reuseAfterYears: z.int().min(0).max(100).describe('A former user name or address is not given away earlier.'),
      mailDomain: z.string().regex(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/),
      transliteration: z
        .record(z.string().regex(/^([a-z]{2,3}(-[A-Za-z0-9]+)*|default)$/), z.record(z.string().min(1), z.string()))
        .default({})
        .describe('Locale (or "default"): character: replacement, applied before the general tables.'),
    }),
  })
  .describe('The lifecycle rules of a Tenure policy: times, tiers, approvals, user names.');

export type ApplicationFile = z.output<typeof applicationSchema>;
export type RoleFile = z.output<typeof roleSchema>;
export type LifecycleFile = z.output<typeof lifecycleSchema>;

export const POLICY_FILE_KINDS = ['application', 'role', 'lifecycle'] as const;
export type PolicyFileKind = (typeof POLICY_FILE_KINDS)[number];

export const POLICY_SCHEMAS: Readonly<Record<PolicyFileKind, z.ZodType>> = {
  application: applicationSchema,
  role: roleSchema,
  lifecycle: lifecycleSchema,
};

/** The JSON Schema (draft 2020-12) of one kind of policy file, for editors. Pure; the committed copies are compared with it by a test. */
export function policyJsonSchema(kind: PolicyFileKind): unknown {
  return z.toJSONSchema(POLICY_SCHEMAS[kind], { io: 'input' });
}

/** Which kind of file a path is, by its place in the policy folder; undefined for a file that does not belong there. */
export function policyFileKind(path: string): PolicyFileKind | undefined {
  if (path === 'lifecycle.yaml') {
    return 'lifecycle';
  }
  if (/^applications\/[^/]+\.yaml$/.test(path)) {
    return 'application';
  }
  return /^roles\/[^/]+\.yaml$/.test(path) ? 'role' : undefined;
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of a checked duration such as `60s` (fixed 24-hour days). */
export function durationMs(text: string): number {
  const [, amount = '0', unit = 'ms'] = /^([0-9]+)(ms|s|m|h|d)$/.exec(text) ?? [];
  return Number(amount) * (UNIT_MS[unit] ?? 1);
}
