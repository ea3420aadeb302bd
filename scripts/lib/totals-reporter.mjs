/** jest reporter: hands the totals to scripts/test.mjs, which prints them as the very last line. */
import { writeFileSync } from 'node:fs';

export default class TotalsReporter {
  #file = process.env.TENURE_TEST_TOTALS;

  onRunComplete(_contexts, results) {
    if (this.#file === undefined) return;
    const skipped = results.testResults.flatMap((suite) =>
      suite.testResults
        .filter((test) => test.status === 'pending' || test.status === 'todo')
        .map((test) => test.fullName),
    );
    const totals = {
      passed: results.numPassedTests,
      // A file that could not even be loaded has no tests to count, and must not pass for that.
      failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
      skipped: results.numPendingTests + results.numTodoTests,
      skippedNames: skipped,
      interrupted: results.wasInterrupted,
    };
    writeFileSync(this.#file, JSON.stringify(totals));
  }
}
