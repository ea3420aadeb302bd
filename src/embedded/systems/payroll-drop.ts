import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { OsUser } from '../os-user.js';
import { ownFile, ownFolder } from './folder.js';

/** The payroll's file with its header alone; its columns are those of policy/sandbox/{folder,sshd}/applications/payroll.yaml. */
const header = 'id;login;state;tenure_key;name;employee_number;cost_center;country\n';

/** Makes the folder that payroll is fed through, with a file that holds nobody. What is there stays. Returns the folder. */
export async function ensureDrop(folder: string, user: OsUser | undefined): Promise<string> {
  const drop = join(folder, 'drop');
  await ownFolder(drop, user);
  const file = join(drop, 'accounts.csv');
  if ((await stat(file).catch(() => undefined)) === undefined) await ownFile(file, header, user);
  return drop;
}
