import { ATTRIBUTE_NAMES } from '../ledger/types.js';
import type { Attributes, EmploymentState, PersonState } from '../ledger/types.js';
import type { ApplicationSlug, IdentityId } from '../process/ids.js';
import type { ExpressionFields, MappingContext } from '../policy/types.js';

/** The manager as far as known now; left out while unknown, and then manager attributes are left alone (edge case 14). */
export interface ManagerInput {
  readonly userName: string;
  readonly mail: string;
  readonly displayName: string;
  /** The manager's account per application, for targets that refer to it by native id. */
  readonly nativeIds: ReadonlyMap<ApplicationSlug, string>;
}

export interface ContextInput {
  readonly identityId: IdentityId;
  readonly state: PersonState;
  readonly account: { readonly userName: string; readonly mail: string };
  readonly manager?: ManagerInput;
}

type Emptiness = Map<string, 'cleared' | 'missing'>;

/**
 * What expressions see for one employment. `speaker` is the employment whose attributes speak for the person. Values that HR cleared or never
 * stated read as empty text and are noted in `empty` (edge case 48). Pure.
 */
export function mappingContext(
  input: ContextInput,
  speaker: EmploymentState,
  employment: EmploymentState,
): MappingContext {
  const empty: Emptiness = new Map();
  const person = textsOf(speaker.attributes, 'person', empty);
  const own = textsOf(employment.attributes, 'employment', empty);
  return {
    person: {
      ...person.fields,
      id: input.identityId,
      worker: speaker.worker,
      lifecycle: input.state.lifecycle,
      custom: person.custom,
    },
    employment: {
      ...own.fields,
      id: employment.employmentId,
      worker: employment.worker,
      status: employment.status,
      zone: employment.zone,
      startOn: employment.startOn,
      lastWorkingDay: employment.lastWorkingDay ?? noteEmpty(empty, 'employment.lastWorkingDay', null),
      contractEndsAt: employment.contractEndsAt ?? noteEmpty(empty, 'employment.contractEndsAt', null),
      custom: own.custom,
    },
    account: input.account,
    manager: managerOf(input.manager, speaker, empty, undefined),
    empty,
  };
}

/** The same context as one application sees it: the manager's native id is the one of his account there. Pure. */
export function contextAt(
  context: MappingContext,
  input: ContextInput,
  speaker: EmploymentState,
  application: ApplicationSlug,
): MappingContext {
  if (!input.manager?.nativeIds.has(application)) {
    return context;
  }
  const empty: Emptiness = new Map(context.empty);
  empty.delete('manager.nativeId');
  return { ...context, manager: managerOf(input.manager, speaker, empty, application), empty };
}

function textsOf(
  attributes: Attributes,
  subject: string,
  empty: Emptiness,
): { readonly fields: ExpressionFields; readonly custom: ExpressionFields } {
  const fields: Record<string, string> = {};
  for (const name of ATTRIBUTE_NAMES) {
    fields[name] = attributes[name] ?? noteEmpty(empty, `${subject}.${name}`, attributes[name]);
  }
  const custom: Record<string, string> = {};
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('custom.')) {
      custom[name.slice('custom.'.length)] = value ?? noteEmpty(empty, `${subject}.${name}`, value);
    }
  }
  if (fields['displayName'] === '') {
    const made = displayNameOf(fields);
    fields['displayName'] = made;
    if (made !== '') {
      empty.delete(`${subject}.displayName`);
    }
  }
  return { fields, custom };
}

/** Names as HR wrote them: scripts and diacritics stay (edge case 12). */
function displayNameOf(fields: Readonly<Record<string, string>>): string {
  const given = fields['preferredName'] || fields['givenName'] || '';
  return `${given} ${fields['familyName'] ?? ''}`.trim();
}

function noteEmpty(empty: Emptiness, field: string, value: null | undefined): '' {
  empty.set(field, value === null ? 'cleared' : 'missing');
  return '';
}

function managerOf(
  manager: ManagerInput | undefined,
  speaker: EmploymentState,
  empty: Emptiness,
  application: ApplicationSlug | undefined,
): MappingContext['manager'] {
  // A manager whom HR names but who is not here yet is missing; only "no manager" clears.
  const emptiness = speaker.manager === null ? null : undefined;
  const known = speaker.manager === null ? undefined : manager;
  const value = (field: string, text: string | undefined): string =>
    text === undefined || text === '' ? noteEmpty(empty, `manager.${field}`, emptiness) : text;
  return {
    userName: value('userName', known?.userName),
    mail: value('mail', known?.mail),
    displayName: value('displayName', known?.displayName),
    nativeId: value('nativeId', application === undefined ? undefined : known?.nativeIds.get(application)),
  };
}
