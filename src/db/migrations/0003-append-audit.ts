import type { Kysely } from 'kysely';
import { sql } from 'kysely';

/**
 * Appends records to a person's hash chain in one statement: the head is locked, each record's hash covers the one before, and the head moves along. Written
 * where the lock is held, because the trip to the database is what an audit record costs. `src/db/audit.ts` computes the same hash when it verifies.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql
    .raw(
      `create function append_audit(
         who uuid, ats timestamptz[], actors text[], actions text[], heads text[], bodies bytea[]
       ) returns void language plpgsql as $$
       declare
         last audit_head;
         next bytea;
       begin
         insert into audit_head (identity_id, seq, hash) values (who, 0, decode(repeat('00', 32), 'hex'))
           on conflict (identity_id) do update set seq = audit_head.seq
           returning * into last;
         for i in 1 .. cardinality(ats) loop
           next := sha256(
             last.hash || convert_to('["' || who || '",' || (last.seq + 1) || ',' || substr(heads[i], 2), 'UTF8') || bodies[i]
           );
           insert into audit (identity_id, seq, at, actor, action, body, prev_hash, hash)
             values (who, last.seq + 1, ats[i], actors[i], actions[i], bodies[i], last.hash, next);
           last.seq := last.seq + 1;
           last.hash := next;
         end loop;
         update audit_head set seq = last.seq, hash = last.hash where identity_id = who;
       end $$`,
    )
    .execute(db);
}
