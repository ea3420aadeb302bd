import { z } from 'zod';

/** The parts of the API's answers that the story looks at. */

const instant = z.string();

export const eventsAnswer = z.looseObject({
  results: z.array(
    z.looseObject({
      index: z.number(),
      status: z.enum(['accepted', 'duplicate', 'superseded', 'rejected', 'failed']),
      identityId: z.string().optional(),
      problems: z.array(z.looseObject({ path: z.string(), message: z.string(), expected: z.string() })).optional(),
    }),
  ),
});

const processSchema = z.looseObject({
  processId: z.string(),
  kind: z.string(),
  state: z.enum(['running', 'tail', 'completed', 'cancelled', 'superseded']),
  phase: z.string().nullable(),
  effectiveAt: instant,
  dueAt: instant.nullable(),
  blockedOn: z.string().nullable(),
  outcome: z.string().nullable(),
  openedAt: instant,
});
export type ProcessView = z.infer<typeof processSchema>;

export const identityAnswer = z.looseObject({
  identityId: z.string(),
  displayName: z.string(),
  userName: z.string().nullable(),
  lifecycle: z.string(),
  nextDueAt: instant.nullable(),
  employments: z.array(z.looseObject({ zone: z.string(), startOn: z.string() })),
  upcoming: z.array(z.looseObject({ kind: z.string(), effectiveAt: instant })),
  accounts: z.array(
    z.looseObject({
      application: z.string(),
      status: z.string(),
      archived: z.boolean(),
      entitlements: z.array(z.looseObject({ name: z.string() })),
    }),
  ),
  processes: z.array(processSchema),
});
export type IdentityView = z.infer<typeof identityAnswer>;

const page = <T>(item: z.ZodType<T>) => z.looseObject({ items: z.array(item), next: z.string().nullable() });

export const approvalsPage = page(
  z.looseObject({
    approvalId: z.string(),
    identity: z.looseObject({ identityId: z.string() }),
    entitlement: z.string(),
  }),
);

const taskSchema = z.looseObject({
  taskId: z.string(),
  identity: z.looseObject({ identityId: z.string() }),
  application: z.string().nullable(),
  kind: z.string(),
  code: z.string(),
});
export type TaskView = z.infer<typeof taskSchema>;
export const tasksPage = page(taskSchema);

const evidenceSchema = z.looseObject({
  at: instant,
  processId: z.string().nullable(),
  application: z.string(),
  phase: z.string(),
  operation: z.string(),
  check: z.string(),
  verdict: z.enum(['proven', 'refuted', 'pending', 'unprovable']),
  code: z.string().nullable(),
});
export type EvidenceView = z.infer<typeof evidenceSchema>;
export const evidencePage = page(evidenceSchema);

/** Of answers that only matter as a sign that something was taken. */
export const anything = z.looseObject({});
