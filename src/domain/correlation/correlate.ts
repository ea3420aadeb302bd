/** Values by which things are recognised; text only, absent and empty never match. */
export type KeyValues = Readonly<Record<string, string | null | undefined>>;

export interface CorrelationKeys {
  /** Each identifies on its own and does not change: a match links. */
  readonly strong: readonly string[];
  /** Hints: a match is proposed to a person. */
  readonly weak: readonly string[];
}

export interface Candidate<Id extends string> {
  readonly id: Id;
  readonly values: KeyValues;
}

/**
 * `linked`: exactly one by a strong key. `proposed`: weak keys only, a person decides. `ambiguous`: several by strong keys, or strong keys that
 * contradict each other, a person decides. `orphan`: nothing fits.
 */
export type Correlation<Id extends string> =
  | { readonly result: 'linked'; readonly id: Id; readonly by: readonly string[] }
  | { readonly result: 'proposed' | 'ambiguous'; readonly ids: readonly Id[]; readonly by: readonly string[] }
  | { readonly result: 'orphan' };

interface Match<Id extends string> {
  readonly id: Id;
  readonly strong: readonly string[];
  readonly against: readonly string[];
  readonly weak: readonly string[];
}

/**
 * Decides to which candidate a subject belongs: an observed account among identities, or a new identity among observed accounts. Never guesses: two
 * candidates, or a weak key alone, are for a person (edge case 13). Independent of the candidates' order. Pure.
 */
export function correlate<Id extends string>(
  keys: CorrelationKeys,
  subject: KeyValues,
  candidates: readonly Candidate<Id>[],
): Correlation<Id> {
  const matches = candidates.map((candidate) => matchOf(keys, subject, candidate));
  const strong = matches.filter((match) => match.strong.length > 0);
  const [only] = strong;
  if (only && strong.length === 1 && only.against.length === 0) {
    return { result: 'linked', id: only.id, by: only.strong };
  }
  if (strong.length > 0) {
    return undecided('ambiguous', strong, (match) => [...match.strong, ...match.against]);
  }
  // A strong key that says "somebody else" outweighs every hint.
  const weak = matches.filter((match) => match.weak.length > 0 && match.against.length === 0);
  return weak.length > 0 ? undecided('proposed', weak, (match) => match.weak) : { result: 'orphan' };
}

function undecided<Id extends string>(
  result: 'proposed' | 'ambiguous',
  matches: readonly Match<Id>[],
  keysOf: (match: Match<Id>) => readonly string[],
): Correlation<Id> {
  return {
    result,
    ids: matches.map((match) => match.id).sort(),
    by: [...new Set(matches.flatMap(keysOf))].sort(),
  };
}

function matchOf<Id extends string>(keys: CorrelationKeys, subject: KeyValues, candidate: Candidate<Id>): Match<Id> {
  const same = (key: string): boolean | undefined => {
    const [a, b] = [normalised(subject[key]), normalised(candidate.values[key])];
    return a === '' || b === '' ? undefined : a === b;
  };
  return {
    id: candidate.id,
    strong: keys.strong.filter((key) => same(key) === true),
    against: keys.strong.filter((key) => same(key) === false),
    weak: keys.weak.filter((key) => same(key) === true),
  };
}

/** The form in which values are compared; empty matches nothing. */
export function normalised(value: string | null | undefined): string {
  return (value ?? '').normalize('NFKC').trim().toLowerCase();
}

/** How HR knows a person. */
export interface PersonKeys {
  readonly source: string;
  /** The source's own key of the person, stable over employments. */
  readonly personKey: string;
  readonly employeeNumber?: string | null;
  readonly personalMail?: string | null;
}

/**
 * Whether a record from HR belongs to somebody who is known: by the source's person key it is the same person (a rehire); by private mail address or
 * employee number alone a person decides, because numbers are reused and addresses shared (edge cases 40, 49); names never count. Pure.
 */
export function correlatePerson<Id extends string>(
  incoming: PersonKeys,
  known: readonly { readonly id: Id; readonly keys: PersonKeys }[],
): Correlation<Id> {
  // Two keys of one source that differ do not contradict: HR may give a rehired person a new one.
  return correlate({ strong: ['key'], weak: ['employeeNumber', 'personalMail'] }, personValues(incoming), [
    ...known.map(({ id, keys }) => {
      const values = personValues(keys);
      return { id, values: values.key === personValues(incoming).key ? values : { ...values, key: null } };
    }),
  ]);
}

function personValues(keys: PersonKeys): { readonly key: string } & KeyValues {
  return {
    key: `${keys.source}\u0000${keys.personKey}`,
    employeeNumber: keys.employeeNumber,
    personalMail: keys.personalMail,
  };
}
