import { addDays, localDateAt } from '../../domain/time/instants.js';
import { brand } from '../../domain/process/ids.js';
import type { Instant, ZoneId } from '../../domain/process/ids.js';
import type { TransitionKind } from '../../domain/process/kinds.js';
import type { HrRecordInput } from '../../hr/record.js';
import { samplePerson } from './people.js';
import type { PersonKey, SamplePerson } from './people.js';

/** What is sent together; the next chapter is sent when everything due of this one is done. */
export interface Chapter {
  readonly title: string;
  /** HR records as they are sent; a bad one is among them. */
  readonly records: readonly unknown[];
  /** Processes that must have begun once the records are known, by person. */
  readonly begins: Readonly<Partial<Record<PersonKey, readonly TransitionKind[]>>>;
}

interface Job {
  readonly department: string;
  readonly title: string;
  readonly location: string;
  readonly country: string;
  readonly zone: string;
  readonly costCenter: string;
}

const BERLIN = { location: 'Berlin', country: 'DE', zone: 'Europe/Berlin' };
const COPENHAGEN = { location: 'Copenhagen', country: 'DK', zone: 'Europe/Copenhagen' };
const MELBOURNE = { location: 'Melbourne', country: 'AU', zone: 'Australia/Melbourne' };
const NEW_YORK = { location: 'New York', country: 'US', zone: 'America/New_York' };

const JOBS: Readonly<Record<PersonKey, Job>> = {
  manager: { ...BERLIN, department: 'Management', title: 'Head of Operations', costCenter: '1000' },
  colleague: { ...COPENHAGEN, department: 'Engineering', title: 'Site Engineer', costCenter: '2100' },
  approver: { ...BERLIN, department: 'Finance', title: 'Payments Accountant', costCenter: '3100' },
  mover: { ...BERLIN, department: 'Engineering', title: 'Solutions Engineer', costCenter: '2100' },
  renamed: { ...COPENHAGEN, department: 'Engineering', title: 'Test Engineer', costCenter: '2100' },
  onNotice: { ...NEW_YORK, department: 'Finance', title: 'Treasury Analyst', costCenter: '3100' },
  dismissed: { ...NEW_YORK, department: 'Sales', title: 'Account Executive', costCenter: '4100' },
  returning: { ...BERLIN, department: 'Sales', title: 'Sales Manager', costCenter: '4100' },
  contractor: { ...MELBOURNE, department: 'Engineering', title: 'Contract Developer', costCenter: '2900' },
  startsLater: { ...BERLIN, department: 'Sales', title: 'Inside Sales', costCenter: '4100' },
  startsSoon: { ...NEW_YORK, department: 'Engineering', title: 'Platform Engineer', costCenter: '2100' },
  rescinded: { ...COPENHAGEN, department: 'Sales', title: 'Field Sales', costCenter: '4100' },
};

/**
 * The sample company's HR feed, in the order in which it is sent. All dates count from the first start, in the zone of each person's work location, so the
 * same first start always gives the same records: sending them again changes nothing.
 */
export function sampleFeed(firstStart: Instant): readonly Chapter[] {
  const feed = new Feed(firstStart);
  return [
    {
      title: 'The manager is there',
      records: [feed.hire('manager', -1_500, { manager: null })],
      begins: { manager: ['joiner'] },
    },
    {
      title: 'People join: today, long ago, in two days, in twenty; one record is bad',
      records: [
        feed.hire('colleague', -700),
        feed.hire('approver', 0),
        feed.hire('mover', -400),
        feed.hire('renamed', -300),
        feed.hire('onNotice', -600),
        feed.hire('dismissed', -200),
        feed.hire('returning', -900),
        feed.hire('contractor', -10, { worker: 'contractor', endOn: feed.day('contractor', 45) }),
        feed.hire('startsLater', 20),
        feed.hire('startsSoon', 2),
        feed.hire('rescinded', 2),
        feed.badRecord(),
      ],
      begins: {
        colleague: ['joiner'],
        approver: ['joiner'],
        mover: ['joiner'],
        renamed: ['joiner'],
        onNotice: ['joiner'],
        dismissed: ['joiner'],
        returning: ['joiner'],
        contractor: ['joiner'],
        startsSoon: ['joiner'],
        rescinded: ['joiner'],
      },
    },
    {
      title: 'One moves, one is renamed, three leave, and one hire is rescinded',
      records: [
        feed.event('mover', 'move', {
          kind: 'change',
          effectiveOn: feed.day('mover', 0),
          attributes: { department: 'Sales', title: 'Sales Engineer', costCenter: '4100' },
        }),
        feed.event('renamed', 'name', {
          kind: 'change',
          effectiveOn: feed.day('renamed', 0),
          attributes: { familyName: 'Jespersen' },
        }),
        feed.event('onNotice', 'end', {
          kind: 'end',
          manner: 'voluntary',
          noticeOn: feed.day('onNotice', 0),
          lastWorkingDay: feed.day('onNotice', 14),
        }),
        feed.event('dismissed', 'end', {
          kind: 'end',
          manner: 'immediate',
          lastWorkingDay: feed.day('dismissed', 0),
        }),
        feed.event('returning', 'end', {
          kind: 'end',
          manner: 'voluntary',
          lastWorkingDay: feed.day('returning', -40),
        }),
        feed.event('rescinded', 'withdraw', { kind: 'withdraw', corrects: feed.eventId('rescinded', 'hire') }),
      ],
      begins: {
        mover: ['mover'],
        renamed: ['name-change'],
        onNotice: ['leaver'],
        dismissed: ['leaver'],
        returning: ['leaver'],
        rescinded: ['rescinded-hire'],
      },
    },
    {
      title: 'One who left forty days ago comes back',
      records: [feed.hire('returning', 0, { employment: 2 })],
      begins: { returning: ['rehire'] },
    },
  ];
}

type Statement = HrRecordInput extends infer One
  ? One extends unknown
    ? Omit<One, 'source' | 'eventId' | 'person' | 'employment'>
    : never
  : never;

interface HireChange {
  readonly manager?: null;
  readonly worker?: 'contractor';
  readonly endOn?: string;
  /** Which of the person's employments; the first without it. */
  readonly employment?: number;
}

class Feed {
  constructor(private readonly firstStart: Instant) {}

  /** The local date so many days after the first start, where the person works. */
  day(key: PersonKey, days: number): string {
    return addDays(localDateAt(this.firstStart, brand<ZoneId>(JOBS[key].zone)), days);
  }

  eventId(key: PersonKey, what: string): string {
    return `${samplePerson(key).number}-${what}`;
  }

  hire(key: PersonKey, days: number, change: HireChange = {}): HrRecordInput {
    const person = samplePerson(key);
    const { zone, ...job } = JOBS[key];
    const { employment = 1, ...stated } = change;
    const statement: Statement = {
      kind: 'hire',
      startOn: this.day(key, days),
      zone,
      worker: 'employee',
      manager: samplePerson('manager').number,
      attributes: { ...nameOf(person), employeeNumber: person.number, ...job },
      ...stated,
    };
    return this.event(key, employment === 1 ? 'hire' : 'rehire', statement, employment);
  }

  event(key: PersonKey, what: string, statement: Statement, employment = 1): HrRecordInput {
    const { number } = samplePerson(key);
    const envelope = { source: 'sample-hr', eventId: this.eventId(key, what), person: number };
    return { ...envelope, employment: `${number}-${employment}`, ...statement };
  }

  /** A contractor without an end, starting on a day that no calendar has. */
  badRecord(): unknown {
    return {
      source: 'sample-hr',
      eventId: '48099-hire',
      person: '48099',
      employment: '48099-1',
      kind: 'hire',
      startOn: '2026-02-31',
      zone: 'Europe/Berlin',
      worker: 'contractor',
      attributes: { familyName: 'Zach', employeeNumber: '48099', department: 'Engineering' },
    };
  }
}

function nameOf({ givenName, familyName, locale }: SamplePerson) {
  return { givenName, familyName, locale: locale.replace('_', '-') };
}
