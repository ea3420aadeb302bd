import type { Queryable } from '../db/database.js';
import { compilePolicy, policyHash } from '../domain/policy/compile.js';
import type { CompiledPolicy, PolicyFiles } from '../domain/policy/types.js';
import { brand } from '../domain/process/ids.js';
import type { PolicyVersion } from '../domain/process/ids.js';

/** Stored policies, compiled once per version: every process is pinned to the version it was opened under (design D11). */
export class PolicyStore {
  readonly #compiled = new Map<PolicyVersion, CompiledPolicy>();

  /** The policy of a version; throws when there is no such version or it no longer compiles. */
  async get(db: Queryable, version: PolicyVersion): Promise<CompiledPolicy> {
    const known = this.#compiled.get(version);
    if (known !== undefined) return known;
    const row = await db
      .selectFrom('policy_version')
      .select('files')
      .where('version', '=', version)
      .executeTakeFirstOrThrow();
    const result = compilePolicy(row.files, { version });
    if (!result.ok) throw new Error(`policy version ${version} does not compile: ${result.problems.length} problems`);
    this.#compiled.set(version, result.policy);
    return result.policy;
  }

  /** The newest version; undefined while none was published. */
  async active(db: Queryable): Promise<CompiledPolicy | undefined> {
    const row = await db
      .selectFrom('policy_version')
      .select('version')
      .orderBy('version', 'desc')
      .limit(1)
      .executeTakeFirst();
    return row === undefined ? undefined : this.get(db, row.version);
  }
}

/** Stores checked files as a new version, or gives the version that has exactly these files as its newest. Safe to repeat. */
export async function publishPolicy(db: Queryable, files: PolicyFiles, by: string): Promise<PolicyVersion> {
  const hash = policyHash(files);
  await db
    .insertInto('policy_version')
    .values({ hash, files: JSON.stringify(files), created_by: by })
    .onConflict((conflict) => conflict.column('hash').doNothing())
    .execute();
  const row = await db
    .selectFrom('policy_version')
    .select('version')
    .where('hash', '=', hash)
    .executeTakeFirstOrThrow();
  return brand<PolicyVersion>(row.version);
}
