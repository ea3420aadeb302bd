import { fields, instant, table } from './output.js';

interface Explained {
  readonly entitlement?: string;
  readonly desired: boolean;
  readonly held: boolean;
  readonly for: readonly { readonly kind: string; readonly rule: string }[];
  readonly against: readonly { readonly objection: string; readonly rule: string }[];
}
export interface WhyView {
  readonly application: string;
  readonly account: Explained;
  readonly entitlements: readonly Explained[];
}
export interface PersonView {
  readonly identityId: string;
  readonly displayName: string;
  readonly userName: string | null;
  readonly mail: string | null;
  readonly lifecycle: string;
  readonly manager: { readonly displayName: string } | null;
  readonly employments: readonly {
    readonly status: string;
    readonly worker: string;
    readonly startOn: string;
    readonly lastWorkingDay?: string;
    readonly accessEndsAt?: string;
    readonly zone: string;
    readonly isPrimary: boolean;
  }[];
  readonly accounts: readonly {
    readonly application: string;
    readonly login: string;
    readonly status: string;
    readonly observedAt: string;
    readonly entitlements: readonly { readonly name: string; readonly reasons: Explained['for'] }[];
  }[];
  readonly upcoming: readonly { readonly kind: string; readonly effectiveAt: string }[];
  readonly processes: readonly {
    readonly processId: string;
    readonly kind: string;
    readonly state: string;
    readonly phase: string | null;
    readonly blockedOn: string | null;
    readonly effectiveAt: string;
    readonly outcome: string | null;
  }[];
}
export interface TimelineView {
  readonly at: string;
  readonly kind: string;
  readonly what: string;
  readonly isFuture: boolean;
  readonly application?: string;
  readonly code?: string | null;
}
export interface PreviewView {
  readonly transitions: readonly {
    readonly kind: string;
    readonly effectiveAt: string;
    readonly preview: {
      readonly phases: readonly {
        readonly phase: string;
        readonly desiredAt: string;
        readonly lines: readonly string[];
      }[];
      readonly approvals: readonly string[];
    };
  }[];
}

export function renderPerson(person: PersonView): string {
  const sections: (readonly [string, string])[] = [
    [
      'Employments',
      table(
        ['State', 'Worker', 'From', 'Last working day', 'Access ends', 'Zone'],
        person.employments.map((one) => [
          one.isPrimary ? `${one.status} (primary)` : one.status,
          one.worker,
          one.startOn,
          one.lastWorkingDay,
          instant(one.accessEndsAt),
          one.zone,
        ]),
      ),
    ],
    [
      'Accounts',
      table(
        ['Application', 'Login', 'State', 'Entitlements (because of)', 'Seen'],
        person.accounts.map((one) => [
          one.application,
          one.login,
          one.status,
          one.entitlements.map((entitlement) => `${entitlement.name} (${because(entitlement.reasons)})`).join('\n'),
          instant(one.observedAt),
        ]),
      ),
    ],
    [
      'To come',
      table(
        ['When', 'What'],
        person.upcoming.map((one) => [instant(one.effectiveAt), one.kind]),
      ),
    ],
    [
      'Processes',
      table(
        ['Kind', 'State', 'Phase', 'Waits for', 'Effective', 'Outcome', 'Id'],
        person.processes.map((one) => [
          one.kind,
          one.state,
          one.phase,
          one.blockedOn,
          instant(one.effectiveAt),
          one.outcome,
          one.processId,
        ]),
      ),
    ],
  ];
  const head = fields([
    ['Name', person.displayName],
    ['State', person.lifecycle],
    ['User name', person.userName],
    ['Mail', person.mail],
    ['Manager', person.manager?.displayName],
    ['Id', person.identityId],
  ]);
  return [head, ...sections.map(([title, text]) => `\n${title}\n${text}`)].join('\n');
}

export function renderTimeline(items: readonly TimelineView[]): string {
  return table(
    ['When', '', 'Kind', 'What', 'Application', 'Code'],
    items.map((one) => [instant(one.at), one.isFuture ? 'to come' : '', one.kind, one.what, one.application, one.code]),
  );
}

export function renderWhy(why: WhyView): string {
  const line = (name: string, one: Explained) => [
    name,
    one.desired ? 'yes' : 'no',
    one.held ? 'yes' : 'no',
    because(one.for),
    one.against.map((note) => `${note.objection}${note.rule === '' ? '' : ` (${note.rule})`}`).join('\n'),
  ];
  return table(
    [why.application, 'Desired', 'Held', 'For', 'Against'],
    [line('account', why.account), ...why.entitlements.map((one) => line(one.entitlement ?? '', one))],
  );
}

export function renderPreview(preview: PreviewView): string {
  const parts = preview.transitions.map((transition) => {
    const phases = transition.preview.phases.flatMap((phase) => [
      `  ${phase.phase}, ${instant(phase.desiredAt)}`,
      ...phase.lines.map((line) => `    ${line}`),
    ]);
    const waits = transition.preview.approvals.map((key) => `  waits for an approval: ${key}`);
    const nothing = phases.length === 0 ? ['  nothing to do'] : [];
    return [`${transition.kind}, ${instant(transition.effectiveAt)}`, ...phases, ...waits, ...nothing].join('\n');
  });
  return parts.length === 0 ? 'Nothing is due or to come.' : parts.join('\n\n');
}

function because(reasons: Explained['for']): string {
  return reasons.length === 0 ? 'nothing' : [...new Set(reasons.map((one) => `${one.kind} ${one.rule}`))].join(', ');
}
