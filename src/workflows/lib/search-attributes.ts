import { SearchAttributeType, defineSearchAttributeKey } from '@temporalio/common';

/** Typed search attributes: opaque ids, codes and instants, because they are never encrypted (temporal.md section 7). */
export const IDENTITY = defineSearchAttributeKey('TenureIdentity', SearchAttributeType.KEYWORD);
export const KIND = defineSearchAttributeKey('TenureKind', SearchAttributeType.KEYWORD);
export const PHASE = defineSearchAttributeKey('TenurePhase', SearchAttributeType.KEYWORD);
export const BLOCKED_ON = defineSearchAttributeKey('TenureBlockedOn', SearchAttributeType.KEYWORD);
export const EFFECTIVE_AT = defineSearchAttributeKey('TenureEffectiveAt', SearchAttributeType.DATETIME);
export const DUE_AT = defineSearchAttributeKey('TenureDueAt', SearchAttributeType.DATETIME);
