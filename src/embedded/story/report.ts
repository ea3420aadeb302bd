import Table from 'cli-table3';
import { Temporal } from 'temporal-polyfill';
import type { EvidenceView, IdentityView, ProcessView } from './answers.js';
import { ahead, proofsOf } from './state.js';

export interface Told {
  readonly view: IdentityView;
  readonly evidence: readonly EvidenceView[];
  /** What is not as it should be; empty when all is proven. */
  readonly wrong: readonly string[];
}

const WIDEST = 150;
const NARROWEST = 96;

/** The table of the story: a row per person. Pure. */
export function storyTable(people: readonly Told[], now: string, columns: number): string {
  const width = Math.max(NARROWEST, Math.min(WIDEST, columns));
  const rest = width - 24 - 13 - 5;
  const half = Math.floor(rest / 2);
  const table = new Table({
    head: ['Person', 'What happened', 'Proofs', 'Still to come'],
    colWidths: [24, half, 13, rest - half],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  for (const told of people) table.push(rowOf(told, now));
  return table.toString();
}

function rowOf({ view, evidence, wrong }: Told, now: string): string[] {
  const { proven, open } = proofsOf(evidence);
  const zone = view.employments.at(-1)?.zone ?? 'UTC';
  const happened = [...view.processes].reverse().map(happening);
  return [
    `${view.displayName}\n${view.userName ?? ''}\n${view.lifecycle}`,
    [...happened, ...accountsOf(view), ...wrong.map((text) => `! ${text}`)].join('\n') || 'nothing is due yet',
    `${proven} proven\n${open.length} open`,
    ahead(view, now)
      .map(({ at, what }) => `${what}: ${instantText(at, zone)}`)
      .join('\n'),
  ];
}

function happening(one: ProcessView): string {
  return `${one.kind}: ${wordFor(one)}`;
}

function wordFor(one: ProcessView): string {
  switch (one.state) {
    case 'running':
      return 'waits';
    case 'tail':
      return 'access cut';
    case 'cancelled':
      return `cancelled (${one.outcome ?? ''})`;
    default:
      return one.outcome ?? one.state;
  }
}

function accountsOf(view: IdentityView): readonly string[] {
  return view.accounts.map((account) => {
    const entitlements = account.entitlements.map((entitlement) => entitlement.name).join(', ');
    const state = account.archived ? `${account.status}, archived` : account.status;
    return `  ${account.application}: ${state}${entitlements === '' ? '' : ` (${entitlements})`}`;
  });
}

/** Local wall clock with its zone, and UTC. */
export function instantText(at: string, zone: string): string {
  const instant = Temporal.Instant.from(at);
  const local = instant.toZonedDateTimeISO(zone).toPlainDateTime();
  const minutes = { smallestUnit: 'minute' } as const;
  return `${local.toString(minutes).replace('T', ' ')} ${zone} (${instant.toString(minutes)})`;
}
