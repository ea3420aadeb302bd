/**
 * Branded ids and the names that Temporal sees. Everything here is opaque: no login, mail or employee number ever becomes part of an id (design D7).
 */
export type Brand<T, B extends string> = T & { readonly __brand: B };

export type IdentityId = Brand<string, 'IdentityId'>;
/** Opaque id of one employment (a contract between a person and a legal entity); never the employee number. */
export type EmploymentId = Brand<string, 'EmploymentId'>;
export type FactId = Brand<string, 'FactId'>;
/** `<employmentId>/<kind>/<ordinal>`: stable when the date moves (design D1). */
export type TransitionId = Brand<string, 'TransitionId'>;
/** One run at a transition: a corrected transition is processed again under the next revision. */
export type ProcessId = Brand<string, 'ProcessId'>;
export type VisitId = Brand<string, 'VisitId'>;
export type PlanId = Brand<string, 'PlanId'>;
export type ApplicationSlug = Brand<string, 'ApplicationSlug'>;
export type AccountId = Brand<string, 'AccountId'>;
export type PolicyVersion = Brand<number, 'PolicyVersion'>;
/** ISO 8601 in UTC with milliseconds, e.g. `2026-11-23T07:00:00.000Z`; compares as text. */
export type Instant = Brand<string, 'Instant'>;
/** `YYYY-MM-DD`, meaningful only together with a zone. */
export type LocalDate = Brand<string, 'LocalDate'>;
/** IANA name, e.g. `Australia/Melbourne`; evaluated when needed, never stored as an offset. */
export type ZoneId = Brand<string, 'ZoneId'>;

/** Names a value as a branded one. The only place where a brand is put on without a check. */
export function brand<T extends string | number>(value: T extends string ? string : number): T {
  return value as unknown as T;
}

/** The workflow that orders one person's processes. */
export function identityWorkflowId(identityId: IdentityId): string {
  return `identity:${identityId}`;
}

/** A lifecycle process: one execution per transition and revision, so that Temporal refuses to start it twice. */
export function processWorkflowId(identityId: IdentityId, processId: ProcessId): string {
  return `identity:${identityId}/process:${processId}`;
}

export function processIdOf(transitionId: TransitionId, revision: number): ProcessId {
  return brand<ProcessId>(`${transitionId}/r${revision}`);
}
