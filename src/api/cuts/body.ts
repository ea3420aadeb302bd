import { z } from 'zod';
import type { Queryable } from '../../db/database.js';
import { SYSTEM } from '../../db/keys.js';
import type { ApiDeps } from '../deps.js';

const bodySchema = z.object({ reason: z.string(), people: z.array(z.string()) });
export type CutBody = z.output<typeof bodySchema>;

const contextOf = (cutId: string): string => `cut/${cutId}`;

/** What a cut of many says of people, under the system key and bound to the cut. */
export function sealBody(deps: Pick<ApiDeps, 'keys'>, db: Queryable, cutId: string, body: CutBody): Promise<Buffer> {
  return deps.keys.encryptFor(db, SYSTEM, contextOf(cutId), body);
}

/** Opens it again; throws when it was changed or moved. */
export async function openBody(deps: Pick<ApiDeps, 'keys' | 'db'>, cutId: string, sealed: Buffer): Promise<CutBody> {
  return bodySchema.parse(await deps.keys.decryptFor(deps.db, SYSTEM, contextOf(cutId), sealed));
}
