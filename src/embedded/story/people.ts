/** Invented people: the names are faker's (10.6), with its locale and the seed 480 + the place in this list. Nobody here exists. */
const names = [
  ['manager', 'de', 'Moritz', 'Röttger'],
  ['colleague', 'da', 'Nina', 'Justesen'],
  ['approver', 'pl', 'Wilfryd', 'Wojtasik'],
  ['mover', 'de', 'Vin', 'Geese'],
  ['renamed', 'da', 'Peter', 'Schrøder'],
  ['onNotice', 'fr', 'Isidore', 'Paul'],
  ['dismissed', 'en', 'Jamel', 'Reilly'],
  ['returning', 'de', 'Nadine', 'Ostendarp'],
  ['contractor', 'en_AU', 'Kayla', 'Mcdermott'],
  ['startsLater', 'tr', 'Akkurt', 'Saygıner'],
  ['startsSoon', 'en', 'Billy', 'Wilkinson'],
  ['rescinded', 'fr', 'Aglaé', 'Bertrand'],
] as const;

export type PersonKey = (typeof names)[number][0];

export interface SamplePerson {
  readonly key: PersonKey;
  /** HR's number of the person; the person key and the employee number of the sample. */
  readonly number: string;
  readonly locale: string;
  readonly givenName: string;
  readonly familyName: string;
}

export const samplePeople: readonly SamplePerson[] = names.map(([key, locale, givenName, familyName], index) => ({
  key,
  number: String(48_000 + index + 1),
  locale,
  givenName,
  familyName,
}));

/** The person of that key; every key of the type has one. */
export function samplePerson(key: PersonKey): SamplePerson {
  const found = samplePeople.find((person) => person.key === key);
  if (found === undefined) throw new Error(`no sample person ${key}`);
  return found;
}
