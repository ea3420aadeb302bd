import type { ReportAction, TerminationReport } from './types.js';

/**
 * A signed report as a page for people: every action with its instants, deadline and evidence, what is left, and how long a late end left access open. Nothing
 * runs in it and nothing is loaded; every value is escaped. Pure.
 */
export function reportPage(report: TerminationReport, keyId: string): string {
  const { person, summary } = report;
  const title = `Termination report: ${person.name ?? person.identityId}`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escaped(title)}</title><style>${STYLE}</style></head><body>
<h1>${escaped(title)}</h1>
<dl>${pairs([
    ['User name', person.userName],
    ['Mail', person.mail],
    ['Identity', person.identityId],
    ['Process', report.processId],
    ['State', [report.state, report.outcome].filter((one) => one !== null).join(', ')],
    ['Access ends', report.effectiveAt],
    ['Known since', report.knownAt],
    ['Notice given', report.noticeAt],
    ['Report made', report.generatedAt],
    ['Policy version', String(report.policyVersion)],
  ])}</dl>
<p class="sum">${summary.actions} actions: ${summary.proven} proven, ${summary.attested} attested by a person, ${summary.unproven} not proven.
Deadlines: ${summary.met} met, ${summary.missed} missed, ${summary.open} open.</p>
${exposureOf(report)}
<h2>Actions</h2>
<table><thead><tr>${heads('Tier', 'Application', 'Account', 'Action', 'Deadline', '', 'State', 'Proven at', 'Evidence')}</tr></thead>
<tbody>${report.actions.map(actionRow).join('\n')}</tbody></table>
<h2>Residual access</h2>
${residualOf(report)}
${decisionsOf(report)}
<h2>Signature</h2>
<p>This page shows a report that is signed with the Ed25519 key <code>${escaped(keyId)}</code>. The page itself proves nothing: verify the signed file with
<code>tenure report verify FILE</code>.${report.audit === null ? '' : ` Audit chain: ${report.audit.records} records, head <code>${escaped(report.audit.hash)}</code>.`}</p>
</body></html>
`;
}

function actionRow(action: ReportAction): string {
  const what = action.entitlement === null ? action.operation : `${action.operation} ${action.entitlement}`;
  const checks = action.checks.map(
    (one) =>
      `<li>${escaped(one.at)}: ${escaped(one.check)} ${escaped(one.verdict)} (${escaped([one.code, one.road].filter(Boolean).join(', '))})</li>`,
  );
  return `<tr class="${action.deadline}">${cells(action.tier, action.application, action.login, what, action.deadlineAt)}<td><b>${escaped(action.deadline)}</b></td>${cells(action.state, action.provenAt)}<td><ul>${checks.join('')}</ul></td></tr>`;
}

function exposureOf({ exposure }: TerminationReport): string {
  if (exposure === null) return '';
  const rows = exposure.accounts.map(
    (one) => `<tr>${cells(one.application, one.login, exposure.from, one.until ?? 'still open')}</tr>`,
  );
  return `<h2>Exposure window</h2>
<p>The end became known at ${escaped(exposure.knownAt)}, after access should have ended at ${escaped(exposure.from)}. Until each account was proven closed it could be used.</p>
<table><thead><tr>${heads('Application', 'Account', 'From', 'Until')}</tr></thead><tbody>${rows.join('\n')}</tbody></table>`;
}

function residualOf({ residual }: TerminationReport): string {
  if (residual.length === 0) return '<p>None is known.</p>';
  const rows = residual.map(
    (one) => `<tr>${cells(one.application, one.operation, one.what, one.until ?? 'nobody knows')}</tr>`,
  );
  return `<table><thead><tr>${heads('Application', 'Operation', 'What', 'Until at the latest')}</tr></thead><tbody>${rows.join('\n')}</tbody></table>`;
}

function decisionsOf({ decisions }: TerminationReport): string {
  if (decisions.length === 0) return '';
  const rows = decisions.map(
    (one) =>
      `<tr>${cells(one.askedAt, one.application, `${one.kind}: ${one.code}`, one.resolution ?? 'open', one.resolvedAt)}</tr>`,
  );
  return `<h2>Asked of people</h2>
<table><thead><tr>${heads('Asked', 'Application', 'Question', 'Answer', 'Answered')}</tr></thead><tbody>${rows.join('\n')}</tbody></table>`;
}

function heads(...names: readonly string[]): string {
  return names.map((name) => `<th>${escaped(name)}</th>`).join('');
}

function cells(...values: readonly (string | null)[]): string {
  return values.map((value) => `<td>${escaped(value ?? '')}</td>`).join('');
}

function pairs(list: readonly (readonly [string, string | null])[]): string {
  return list
    .filter(([, value]) => value !== null && value !== '')
    .map(([name, value]) => `<dt>${escaped(name)}</dt><dd>${escaped(value ?? '')}</dd>`)
    .join('');
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}

const STYLE = `body{font:14px/1.45 system-ui,sans-serif;margin:2rem;color:#1b1b1b}table{border-collapse:collapse;width:100%}
th,td{border-bottom:1px solid #ccc;padding:.3rem .5rem;text-align:left;vertical-align:top}dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem}
dt{color:#555}dd{margin:0}ul{margin:0;padding-left:1rem}.missed b{color:#b00020}.met b{color:#0a6b2d}.sum{font-weight:600}`;
