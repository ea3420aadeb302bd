import { sql } from 'kysely';
import type { Database, Queryable } from '../db/database.js';
import { compilePolicy, policyHash } from '../domain/policy/compile.js';
import type { CompiledPolicy, PolicyFiles } from '../domain/policy/types.js';
import type { ApplicationSlug, PolicyVersion } from '../domain/process/ids.js';

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

  /** The newest version that still knows an application; undefined when none does. For accounts that outlived their application's place in policy. */
  async lastWith(db: Queryable, slug: ApplicationSlug): Promise<CompiledPolicy | undefined> {
    const rows = await db.selectFrom('policy_version').select('version').orderBy('version', 'desc').execute();
    for (const { version } of rows) {
      const policy = await this.get(db, version).catch(() => undefined);
      if (policy?.applications.some((application) => application.slug === slug) === true) return policy;
    }
    return undefined;
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

/** Stores checked files as the newest version, unless they are that already. Safe to repeat and to call from several processes at once. */
export async function publishPolicy(db: Database, files: PolicyFiles, by: string): Promise<PolicyVersion> {
  const hash = policyHash(files);
  return db.transaction().execute(async (trx) => {
    await sql`select pg_advisory_xact_lock(hashtext('tenure/policy'))`.execute(trx);
    const newest = await trx
      .selectFrom('policy_version')
      .select(['version', 'hash'])
      .orderBy('version', 'desc')
      .limit(1)
      .executeTakeFirst();
    if (newest?.hash === hash) return newest.version;
    const row = await trx
      .insertInto('policy_version')
      .values({ hash, files: JSON.stringify(files), created_by: by })
      .returning('version')
      .executeTakeFirstOrThrow();
    return row.version;
  });
}
