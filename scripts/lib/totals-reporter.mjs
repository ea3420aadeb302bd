/** jest reporter: hands the totals to scripts/test.mjs, which prints them as the very last line. */
import { writeFileSync } from 'node:fs';

/** What test/systems/go-build.ts says of a program that takes minutes to build: the one skip that no run has to answer for. */
const isBuiltOnDemand = (name) => /not built \(TENURE_CI_FULL=1 builds it\b/.test(name);

export default class TotalsReporter {
  #file = process.env.TENURE_TEST_TOTALS;

  onRunComplete(_contexts, results) {
    if (this.#file !== undefined) writeFileSync(this.#file, JSON.stringify(totalsOf(results)));
  }
}

/** Counts of jest's results; `missing` are the names of the skipped tests whose system should have been there. */
export function totalsOf(results) {
  const skipped = results.testResults.flatMap((suite) =>
    suite.testResults
      .filter((test) => test.status === 'pending' || test.status === 'todo')
      .map((test) => test.fullName),
  );
  return {
    passed: results.numPassedTests,
    // A file that could not even be loaded has no tests to count, and must not pass for that.
    failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
    skipped,
    missing: skipped.filter((name) => !isBuiltOnDemand(name)),
  };
}
