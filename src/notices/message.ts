import type { ReportOccasion } from '../domain/process/kinds.js';
import type { TerminationReport } from '../report/types.js';

export interface NoticeText {
  readonly subject: string;
  readonly text: string;
}

const SUBJECTS: Readonly<Record<ReportOccasion, string>> = {
  'access-ended': 'Access has ended',
  'handed-over': 'Handover is done',
  deleted: 'Accounts are deleted',
};
const FIRST: Readonly<Record<ReportOccasion, (name: string) => string>> = {
  'access-ended': (name) => `The access of ${name} has ended.`,
  'handed-over': (name) => `What ${name} owned, and mail that still comes, has been handed over.`,
  deleted: (name) => `What ${name} left behind has been archived and deleted.`,
};

/**
 * A notice in words: who, when access ended, deadlines, and where the report is. User names, applications and whatever else the report holds stay in the report,
 * which asks who reads it. Pure.
 */
export function noticeText(
  kind: ReportOccasion,
  report: TerminationReport,
  kept: { readonly version: number; readonly link: string | undefined },
): NoticeText {
  const name = oneLine(report.person.name ?? 'a person of yours');
  const { summary, residual } = report;
  const lines = [
    FIRST[kind](name),
    '',
    `Access ended: ${report.effectiveAt}`,
    `Deadlines: ${summary.met} met, ${summary.missed} missed, ${summary.open} still open`,
    `Actions: ${summary.proven + summary.attested} of ${summary.actions} proven`,
    `Residual access: ${residual.length === 0 ? 'none is known' : `${residual.length} known, see the report`}`,
    '',
    kept.link === undefined
      ? `The signed report is version ${kept.version} of process ${report.processId}: ask whoever runs Tenure for it.`
      : `The signed report: ${kept.link}`,
    '',
    'This message was sent by Tenure. Nobody reads answers to it.',
  ];
  return { subject: `${SUBJECTS[kind]}: ${name}`, text: `${lines.join('\n')}\n` };
}

/** That a contract ends, for whoever answers for the person. Pure. */
export function contractEndText(about: { readonly name: string; readonly lastDay: string }): NoticeText {
  const name = oneLine(about.name);
  const lines = [
    `The contract of ${name} ends on ${about.lastDay}. All access ends with it.`,
    '',
    'If the work goes on, ask HR to extend the contract; nothing else has to be done then.',
    'Otherwise see to it that what is still needed is handed over in time.',
    '',
    'This message was sent by Tenure. Nobody reads answers to it.',
  ];
  return { subject: `Contract ends on ${about.lastDay}: ${name}`, text: `${lines.join('\n')}\n` };
}

/** The page of a kept report at the address that people reach the API by. */
export function reportLink(publicUrl: string, processId: string, version: number): string {
  return `${publicUrl.replace(/\/+$/, '')}/v1/processes/${encodeURIComponent(processId)}/reports/${version}?format=html`;
}

function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}
