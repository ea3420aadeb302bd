import { Faker, allLocales, base, en } from '@faker-js/faker';
import { describe, expect, it } from '@jest/globals';
import type { Instant } from '../../../src/domain/process/ids.js';
import { sampleFeed } from '../../../src/embedded/story/feed.js';
import { samplePeople } from '../../../src/embedded/story/people.js';
import { parseRecord } from '../../../src/hr/record.js';

/** Late in the evening in Berlin is the next day in Melbourne. */
const START = '2026-11-23T22:30:00.000Z' as Instant;

describe('the sample company', () => {
  it('is invented: its names are what faker gives for the seed', () => {
    const names = samplePeople.map(({ locale }, index) => {
      const definition = allLocales[locale as keyof typeof allLocales];
      const { person } = new Faker({ locale: [definition, en, base], seed: 480 + index });
      return [person.firstName(), person.lastName()];
    });
    expect(samplePeople.map(({ givenName, familyName }) => [givenName, familyName])).toEqual(names);
  });

  it('sends the same records for the same first start, each valid but for one', () => {
    expect(sampleFeed(START)).toEqual(sampleFeed(START));
    const records = sampleFeed(START).flatMap(({ records: sent }) => sent);
    const refused = records.filter((record) => !parseRecord(record).ok);
    expect(refused).toEqual([expect.objectContaining({ eventId: '48099-hire' })]);
    const events = records.map((record) => (record as { readonly eventId: string }).eventId);
    expect(new Set(events).size).toBe(events.length);
  });

  it('counts its dates in the zone of each person’s work', () => {
    const [, joining] = sampleFeed(START);
    const startOf = (number: string) =>
      joining?.records.find((record) => (record as { readonly person: string }).person === number);
    expect(startOf('48003')).toMatchObject({ startOn: '2026-11-23', zone: 'Europe/Berlin' });
    expect(startOf('48009')).toMatchObject({ startOn: '2026-11-14', endOn: '2027-01-08', zone: 'Australia/Melbourne' });
  });
});
