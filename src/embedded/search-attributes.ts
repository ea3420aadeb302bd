import type { SearchAttributes } from './temporal.js';

/** What Temporal's lists can be searched by: opaque ids, codes and instants only, for none of it is ever encrypted. */
export const searchAttributes: SearchAttributes = {
  IdentityId: 'Keyword',
  ProcessKind: 'Keyword',
  Phase: 'Keyword',
  WaitingFor: 'Keyword',
  EffectiveAt: 'Datetime',
  DueAt: 'Datetime',
  Applications: 'KeywordList',
};
