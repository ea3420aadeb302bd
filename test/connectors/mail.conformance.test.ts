import { describe, it } from '@jest/globals';
import { reasonToSkipMail, startMail } from '../systems/mail.js';
import { describeConformance } from './conformance.js';
import { mailHarness } from './mail-harness.js';

const reason = await reasonToSkipMail();
if (reason === undefined) {
  describeConformance('mail with Dovecot and Exim', async () => mailHarness(await startMail()));
} else {
  describe('conformance of mail with Dovecot and Exim', () => {
    it.skip(`skipped: ${reason}`, () => undefined);
  });
}
