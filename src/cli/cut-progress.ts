import { z } from 'zod';
import type { CliContext } from './context.js';
import { fields, instant, table } from './output.js';

const progressSchema = z.looseObject({
  identityId: z.string(),
  processId: z.string().nullable(),
  applications: z.array(
    z.looseObject({
      application: z.string(),
      state: z.string(),
      code: z.string().nullable(),
      at: z.string().nullable(),
    }),
  ),
  tier1ProvenAt: z.string().nullable(),
  isSettled: z.boolean(),
  report: z.string().nullable(),
});
type Progress = z.output<typeof progressSchema>;

/** Follows a cut until it is settled, or until only people can go on. A stream that breaks is taken up again where it was. */
export async function followCut(context: CliContext, identityId: string): Promise<Progress> {
  const shown = new Map<string, string>();
  let lastId: string | undefined;
  for (;;) {
    for await (const { id, data } of context.api.events(`/v1/identities/${identityId}/cut/progress`, lastId)) {
      lastId = id;
      const progress = progressSchema.parse(JSON.parse(data));
      for (const one of progress.applications) {
        const line = `${one.application}: ${one.state}${one.code === null ? '' : ` (${one.code})`}`;
        if (shown.get(one.application) !== line) context.terminal.err(line);
        shown.set(one.application, line);
      }
      if (progress.isSettled || isWithPeople(progress)) return progress;
    }
  }
}

function isWithPeople({ applications }: Progress): boolean {
  const isMoving = (state: string): boolean => state === 'pending' || state === 'trouble';
  return applications.some((one) => one.state === 'open') && !applications.some((one) => isMoving(one.state));
}

export function renderProgress(progress: Progress): string {
  return [
    table(
      ['Application', 'State', 'Since', 'Code'],
      progress.applications.map((one) => [one.application, one.state, instant(one.at), one.code]),
    ),
    '',
    fields([
      [
        'Tier 1 proven',
        instant(progress.tier1ProvenAt) || (progress.isSettled ? 'not all of it, see above' : 'not yet'),
      ],
      ['Report', progress.report ?? 'when all is settled; the rest is with a person: tenure tasks'],
    ]),
  ].join('\n');
}
