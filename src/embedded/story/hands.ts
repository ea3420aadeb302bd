import { randomBytes } from 'node:crypto';
import { ensureToken } from '../../api/http/tokens.js';
import { openDatabase } from '../../db/database.js';
import { brand } from '../../domain/process/ids.js';
import type { IdentityId } from '../../domain/process/ids.js';
import { anything, approvalsPage, tasksPage } from './answers.js';
import type { TaskView } from './answers.js';
import { ApiRefusal } from './api-client.js';
import type { ApiClient } from './api-client.js';

/** The people of the story who act: a manager with a token of their own, and an operator at the badge terminal. */
export interface Hands {
  /** One round: every open approval of the sample's people is decided, every badge done and attested. Safe to repeat. */
  act(): Promise<HandsDone>;
}

export interface HandsDone {
  readonly approved: readonly { readonly identityId: string; readonly entitlement: string }[];
  readonly doneByHand: readonly TaskView[];
  /** Tasks that nobody of the story knows an answer to. */
  readonly open: readonly TaskView[];
}

/** Decided meanwhile, withdrawn, or not asked any more: nothing is left to do. */
const OVER = new Set([403, 404, 409, 410]);

/**
 * Gives the manager and the operator API tokens of their own (new ones at every start, the old ones are revoked) and lets them act through the API like
 * everybody else.
 * @param ownerUrl the database's owner; only the one who runs the stack has it
 */
export async function hireHands(options: {
  readonly api: ApiClient;
  readonly ownerUrl: string;
  readonly managerId: string;
  /** Identities of the sample: nobody else's affairs are touched. */
  readonly isOurs: (identityId: string) => boolean;
}): Promise<Hands> {
  const tokens = await mintTokens(options.ownerUrl, options.managerId);
  const { api, isOurs } = options;
  return {
    async act() {
      const approvals = await api.list(tokens.manager, '/v1/approvals?status=pending', approvalsPage);
      const tasks = await api.list(tokens.operator, '/v1/tasks?status=open', tasksPage);
      const asked = approvals.filter((approval) => isOurs(approval.identity.identityId));
      const ours = tasks.filter((task) => isOurs(task.identity.identityId));
      const badges = ours.filter((task) => task.kind === 'manual' && task.application === 'badge');
      const approved = await Promise.all(
        asked.map(async ({ approvalId, entitlement, identity }) => {
          const decision = { verdict: 'approved', comment: 'Part of the job.' };
          const isTaken = await told(() =>
            api.post(tokens.manager, `/v1/approvals/${approvalId}/decision`, decision, anything),
          );
          return isTaken ? [{ identityId: identity.identityId, entitlement }] : [];
        }),
      );
      const done = await Promise.all(
        badges.map(async (task) => {
          const resolution = {
            resolution: 'done-by-hand',
            proof: 'Line of the badge terminal’s journal, seen by the operator.',
          };
          const isTaken = await told(() =>
            api.post(tokens.operator, `/v1/tasks/${task.taskId}/resolution`, resolution, anything),
          );
          return isTaken ? [task] : [];
        }),
      );
      return {
        approved: approved.flat(),
        doneByHand: done.flat(),
        open: ours.filter((task) => !badges.includes(task)),
      };
    },
  };
}

async function told(say: () => Promise<unknown>): Promise<boolean> {
  try {
    await say();
    return true;
  } catch (error) {
    if (error instanceof ApiRefusal && OVER.has(error.status)) return false;
    throw error;
  }
}

async function mintTokens(
  ownerUrl: string,
  managerId: string,
): Promise<{ readonly manager: string; readonly operator: string }> {
  const manager = randomBytes(24).toString('base64url');
  const operator = randomBytes(24).toString('base64url');
  const db = openDatabase(ownerUrl, { max: 1, name: 'tenure-story' });
  try {
    const identityId = brand<IdentityId>(managerId);
    await ensureToken(db, { name: 'sample-manager', role: 'manager', identityId, token: manager });
    await ensureToken(db, { name: 'sample-operator', role: 'operator', token: operator });
  } finally {
    await db.destroy();
  }
  return { manager, operator };
}
