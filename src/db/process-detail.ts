import { sql } from 'kysely';

/** A process' `detail` with one more amendment: its workflow reads its schedule anew. */
export const amendedDetail = sql<string>`detail || jsonb_build_object('amendments', coalesce((detail->>'amendments')::integer, 0) + 1)`;
