import { describe, it } from '@jest/globals';
import { reasonToSkipSftp, startSftp } from '../systems/sftp.js';
import { describeConformance } from './conformance.js';
import { localHarness, sftpHarness } from './file-harness.js';

describeConformance('file, in a local folder', localHarness);

const reason = await reasonToSkipSftp();
if (reason === undefined) {
  describeConformance('file, over SFTP with sshd', async () => sftpHarness(await startSftp()));
} else {
  describe('conformance of file over SFTP', () => {
    it.skip(`skipped: ${reason}`, () => undefined);
  });
}
