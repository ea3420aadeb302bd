/** The checks of an application's test, in order. A failed one that the others need makes them `skipped`. */
export const TEST_CHECKS = [
  'configuration',
  'secrets',
  'health',
  'validate',
  'mapping',
  'correlation',
  'list',
  'canary',
] as const;
export type TestCheck = (typeof TEST_CHECKS)[number];

/** What is wrong or worth knowing: codes, names of attributes and places in the file; never a value of the target or a secret. */
export interface TestFinding {
  readonly check: TestCheck;
  readonly severity: 'error' | 'warning' | 'info';
  readonly code: string;
  readonly message: string;
  readonly expected?: string;
  readonly file?: string;
  readonly line?: number;
}

/** Who will do an operation: Tenure through the connector, or a person by an operator task. */
export interface Ability {
  readonly operation: string;
  readonly by: 'tenure' | 'operator-task' | 'nobody';
  readonly note?: string;
}

export interface TestReport {
  readonly application: string;
  /** No finding is an error. */
  readonly ok: boolean;
  readonly checks: readonly { readonly check: TestCheck; readonly state: 'ok' | 'warning' | 'failed' | 'skipped' }[];
  readonly findings: readonly TestFinding[];
  readonly abilities: readonly Ability[];
  readonly latencyMs?: number;
  /** How many accounts the first page of the list had, and whether it was the whole list. */
  readonly firstPage?: { readonly accounts: number; readonly isAll: boolean };
}

/** Makes the report of the findings so far; checks that were not reached are skipped. Pure. */
export function reportOf(
  application: string,
  done: ReadonlySet<TestCheck>,
  findings: readonly TestFinding[],
  more: Pick<TestReport, 'latencyMs' | 'firstPage'> & { readonly abilities?: readonly Ability[] } = {},
): TestReport {
  const worst = (check: TestCheck) => {
    const own = findings.filter((finding) => finding.check === check);
    if (own.some((finding) => finding.severity === 'error')) return 'failed';
    if (!done.has(check)) return 'skipped';
    return own.some((finding) => finding.severity === 'warning') ? 'warning' : 'ok';
  };
  return {
    application,
    ok: findings.every((finding) => finding.severity !== 'error'),
    checks: TEST_CHECKS.map((check) => ({ check, state: worst(check) })),
    findings,
    ...more,
    abilities: more.abilities ?? [],
  };
}
