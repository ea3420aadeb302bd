import { randomBytes } from 'node:crypto';
import { loadTargetsConfig } from '../../src/config.js';
import { onStop, reportReady } from '../../src/embedded/child.js';
import { ensureErp } from '../../src/embedded/targets/erp.js';
import { directoryGroups, erpRoles } from '../../src/embedded/targets/sandbox-data.js';
import { startScimTarget } from '../../src/embedded/targets/scim-target.js';
import { erpCanary, erpDatabase, erpVariable, numbers, scimDatabase, scimVariable } from './company.js';
import type { Company } from './company.js';

/** The sandbox's SCIM server and ERP, as often as a company has them, each with a database of its own. */
const { databaseUrl: adminUrl } = loadTargetsConfig();
const company = JSON.parse(process.env['BENCH_COMPANY'] ?? '') as Company;
const token = randomBytes(24).toString('base64url');
// One service role looks after all ERPs of the server, whoever starts them.
const password = 'bench-erp-service';
const env: Record<string, string> = { BENCH_SCIM_TOKEN: token };
const stops: (() => Promise<void>)[] = [];
for (const number of numbers(company.scim)) {
  const database = scimDatabase(company, number);
  const target = await startScimTarget({ adminUrl, database, token, port: 0, groups: directoryGroups });
  stops.push(() => target.stop());
  env[scimVariable(number)] = target.scimUrl;
}
for (const number of numbers(company.erp)) {
  const [database, canaryLogin] = [erpDatabase(company, number), erpCanary(company, number)];
  env[erpVariable(number)] = (
    await ensureErp({ adminUrl, database, password, roles: erpRoles, canaryLogin })
  ).serviceUrl;
}
onStop(async () => {
  await Promise.all(stops.map((stop) => stop()));
});
reportReady({ env });
