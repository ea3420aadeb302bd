import { SearchAttributeType, defineSearchAttributeKey } from '@temporalio/common';

/** Typed search attributes: opaque ids, codes and instants, because they are never encrypted (temporal.md section 7). */
export const IDENTITY = defineSearchAttributeKey('IdentityId', SearchAttributeType.KEYWORD);
export const KIND = defineSearchAttributeKey('ProcessKind', SearchAttributeType.KEYWORD);
export const PHASE = defineSearchAttributeKey('Phase', SearchAttributeType.KEYWORD);
export const BLOCKED_ON = defineSearchAttributeKey('WaitingFor', SearchAttributeType.KEYWORD);
export const EFFECTIVE_AT = defineSearchAttributeKey('EffectiveAt', SearchAttributeType.DATETIME);
export const DUE_AT = defineSearchAttributeKey('DueAt', SearchAttributeType.DATETIME);
