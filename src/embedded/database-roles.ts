import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import type { RolePasswords } from '../db/migrate.js';

const passwordsSchema = z.object({ owner: z.string(), app: z.string(), auditor: z.string() });

/** Reads the database roles' passwords from `file`, or makes random ones and keeps them there with mode 0600. */
export async function loadRolePasswords(file: string): Promise<RolePasswords> {
  const known = await readFile(file, 'utf8').catch(() => undefined);
  if (known !== undefined) return passwordsSchema.parse(JSON.parse(known));
  const random = () => randomBytes(24).toString('base64url');
  const passwords = { owner: random(), app: random(), auditor: random() };
  await writeFile(file, JSON.stringify(passwords), { mode: 0o600 });
  return passwords;
}
