import { createHmac } from 'node:crypto';
import { loadTargetsConfig } from '../../config.js';
import { onStop, reportReady } from '../child.js';
import { ensureErp } from './erp.js';
import { directoryGroups, erpRoles } from './sandbox-data.js';
import { startScimTarget } from './scim-target.js';

/** The sandbox targets as one process: two SCIM servers (directory and wiki), and the ERP's database. */
async function main(): Promise<void> {
  const config = loadTargetsConfig();
  const adminUrl = config.databaseUrl;
  // Derived, so that a restart of this process alone keeps what the workers already know.
  const derived = (purpose: string): string => createHmac('sha256', adminUrl).update(purpose).digest('base64url');
  const token = config.scimToken ?? derived('scim token');
  const erp = await ensureErp({ adminUrl, database: 'sandbox_erp', password: derived('erp'), roles: erpRoles });
  const directory = await startScimTarget({
    adminUrl,
    database: 'sandbox_directory',
    token,
    port: config.scimPort,
    groups: directoryGroups,
    erpOwnerUrl: erp.ownerUrl,
  });
  const wiki = await startScimTarget({ adminUrl, database: 'sandbox_wiki', token, port: config.wikiPort, groups: [] });
  onStop(async () => {
    await Promise.all([directory.stop(), wiki.stop()]);
  });
  reportReady({
    directory: directory.url,
    wiki: wiki.url,
    env: {
      TENURE_SANDBOX_SCIM_URL: directory.scimUrl,
      TENURE_SANDBOX_WIKI_URL: wiki.scimUrl,
      TENURE_SANDBOX_SCIM_TOKEN: token,
      TENURE_SANDBOX_ERP_URL: erp.serviceUrl,
    },
  });
}

await main();
