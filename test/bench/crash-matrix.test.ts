import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KINDS, MOMENTS, VICTIMS, allCells, rounds, sampleOf } from '../../bench/crash-matrix/cells.js';
import type { LeaverKind, Moment } from '../../bench/crash-matrix/cells.js';
import { deskFactory } from '../../bench/crash-matrix/desk-connector.js';
import { judge } from '../../bench/crash-matrix/judge.js';
import { writePolicy } from '../../bench/crash-matrix/policies.js';
import { isWell, printed, resultSchema } from '../../bench/crash-matrix/result.js';
import { MatrixTarget } from '../../bench/crash-matrix/target.js';
import type { AccountRef, Connector, Forwarding } from '../../src/connectors/connector.js';
import { Secret } from '../../src/connectors/secret.js';
import { newContext } from '../connectors/kit/checks.js';
import { seeded } from '../e2e/support/seeded.js';

const folderOf = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const PERSON = 'person-1';
const HEIR = 'person-2';
const well = { wasHeld: true, isFinished: true };

describe('the cells of the crash matrix', () => {
  it('are every victim at every moment of every kind, each once', () => {
    const cells = allCells();
    expect(cells).toHaveLength(VICTIMS.length * MOMENTS.length * KINDS.length);
    expect(new Set(cells.map(({ victim, moment, kind }) => `${victim} ${moment} ${kind}`)).size).toBe(cells.length);
    expect(cells.map((cell) => cell.number)).toEqual(cells.map((_, index) => index + 1));
    expect(rounds(cells).flat()).toEqual(cells);
  });

  it('a sample has twelve of them and every kind, needs no more kills for that, and is fixed by its seed', () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const cells = sampleOf(12, seeded(seed));
      expect(cells.length).toBeGreaterThanOrEqual(12);
      expect(new Set(cells.map((cell) => cell.kind)).size).toBe(KINDS.length);
      expect(rounds(cells).length).toBeLessThanOrEqual(12);
      expect(sampleOf(12, seeded(seed))).toEqual(cells);
    }
    expect(sampleOf(12, seeded(1))).not.toEqual(sampleOf(12, seeded(2)));
  });
});

describe('what the target of the crash matrix counts', () => {
  const folder = mkdtempSync(join(tmpdir(), 'tenure-matrix-'));
  let target: MatrixTarget;
  let desk: Connector;
  let shop: Connector;
  let accounts: Readonly<Record<'desk' | 'shop' | 'heir', AccountRef>>;
  const secret = new Secret('only-tenure-holds-it');

  async function open(): Promise<void> {
    target = new MatrixTarget();
    writePolicy(folder, folderOf('../../policy'), await target.start());
    desk = connector('desk');
    shop = connector('shop');
    accounts = { desk: await joined(desk, PERSON), shop: await joined(shop, PERSON), heir: await joined(desk, HEIR) };
    await desk.addMember?.({ application: 'desk', name: 'crew' }, accounts.desk, newContext());
    target.fill(PERSON);
  }
  async function close(): Promise<void> {
    await desk.close();
    await shop.close();
    await target.stop();
  }
  beforeEach(open);
  afterEach(async () => {
    await close();
    rmSync(folder, { recursive: true, force: true });
  });

  function connector(slug: string): Connector {
    const { config } = JSON.parse(readFileSync(join(folder, 'applications', `${slug}.yaml`), 'utf8')) as {
      config: unknown;
    };
    const secrets = (): Secret => {
      throw new Error('has no secrets');
    };
    return deskFactory.create(slug, config, { secrets, logger: newContext().logger });
  }

  async function joined(at: Connector, person: string): Promise<AccountRef> {
    const attributes = { externalId: person, displayName: person };
    const spec = { objectClass: 'account' as const, login: person, enabled: true, attributes };
    return (await at.create!(spec, newContext())).ref;
  }

  const forwarding: Forwarding = { to: 'heir@example.com', keepsCopy: false };
  const acts: Readonly<Record<LeaverKind, () => Promise<unknown> | undefined>> = {
    seal: () => desk.seal?.(accounts.desk, secret, newContext()),
    disable: () => shop.disable?.(accounts.shop, newContext()),
    'revoke-sessions': () => desk.revokeSessions?.(accounts.desk, newContext()),
    'revoke-credentials': () => desk.revokeCredentials?.(accounts.desk, newContext()),
    'check-in': () => desk.checkIn?.(accounts.desk, newContext()),
    'remove-entitlement': () => desk.removeMember?.({ application: 'desk', name: 'crew' }, accounts.desk, newContext()),
    'transfer-ownership': () => desk.transferOwned?.(accounts.desk, accounts.heir, newContext()),
    'set-forwarding': () => desk.setForwarding?.(accounts.desk, forwarding, newContext()),
    archive: () => desk.archive?.(accounts.desk, newContext()),
    anonymise: () => desk.anonymise?.(accounts.desk, newContext()),
    delete: () => shop.delete?.(accounts.shop, newContext()),
  };

  async function leave(without?: LeaverKind): Promise<void> {
    for (const kind of KINDS) if (kind !== without) await acts[kind]();
  }

  it('one effect of each kind is well; nobody else’s count', async () => {
    await leave();
    expect(judge(target.effects, PERSON, well)).toEqual({ verdict: 'ok', lost: [], duplicate: [], repeats: 0 });
    expect(judge(target.effects, HEIR, well)).toMatchObject({ verdict: 'lost', lost: KINDS });
  });

  it('planted: an effect that is lost is named, whichever it is', async () => {
    for (const kind of KINDS) {
      await leave(kind);
      expect(judge(target.effects, PERSON, well)).toMatchObject({ verdict: 'lost', lost: [kind], duplicate: [] });
      await close();
      await open();
    }
  });

  it('planted: a second secret, check-in, transfer and message are each a duplicate; the same secret again is a repeat', async () => {
    await leave('anonymise');
    await acts.seal();
    expect(judge(target.effects, PERSON, well)).toMatchObject({ duplicate: [], repeats: 1 });
    await desk.seal?.(accounts.desk, new Secret('another-one'), newContext());
    await desk.setForwarding?.(accounts.desk, { ...forwarding, to: 'other@example.com' }, newContext());
    target.fill(PERSON);
    await acts['check-in']();
    await acts['transfer-ownership']();
    expect(judge(target.effects, PERSON, well)).toMatchObject({
      verdict: 'duplicate',
      duplicate: ['seal', 'check-in', 'transfer-ownership', 'set-forwarding'],
    });
  });

  it('a kill that met nothing, and a process that never ended, are not well', async () => {
    await leave();
    expect(judge(target.effects, PERSON, { ...well, wasHeld: false }).verdict).toBe('not-held');
    expect(judge(target.effects, PERSON, { ...well, isFinished: false }).verdict).toBe('unfinished');
  });

  describe.each(KINDS)('%s', (kind) => {
    const count = () => target.effects.filter((one) => one.operation === kind && one.person === PERSON).length;
    const start = (moment: Moment) => {
      const held = target.hold({ person: PERSON, kind, moment });
      let isAnswered = false;
      const act = (async () => {
        await acts[kind]();
        isAnswered = true;
      })();
      act.catch(() => undefined);
      return { held, act, isAnswered: () => isAnswered };
    };

    it('is held before it acts, and what is dropped never does', async () => {
      const { held, act, isAnswered } = start('before');
      await held.reached;
      expect([count(), isAnswered()]).toEqual([0, false]);
      held.release('drop');
      await expect(act).rejects.toThrow();
      expect(count()).toBe(0);
    });

    it('is held when it has acted and not answered', async () => {
      const { held, act, isAnswered } = start('during');
      await held.reached;
      expect([count(), isAnswered()]).toEqual([1, false]);
      held.release('go-on');
      await act;
      expect(count()).toBe(1);
    });

    it('is held at the question that comes behind its answer', async () => {
      const { held, act } = start('after');
      await act;
      const question = acts[kind]()?.catch(() => undefined);
      await held.reached;
      expect(count()).toBe(1);
      held.release('go-on');
      await question;
    });
  });
});

describe('committed results of the crash matrix', () => {
  const results = folderOf('../../bench/results/');
  const names = readdirSync(results).filter((name) => /^crash-matrix-.*\.json$/.test(name));

  it('have the published form, and what is printed is what they say', () => {
    expect(names.length).toBeGreaterThan(0);
    for (const name of names) {
      const result = resultSchema.parse(JSON.parse(readFileSync(join(results, name), 'utf8')));
      expect(isWell(result)).toBe(true);
      expect(readFileSync(join(results, name.replace('.json', '.txt')), 'utf8')).toBe(printed(result));
    }
  });

  it('planted: one cell that is not well is seen, printed and named', () => {
    const [name = ''] = names;
    const result = resultSchema.parse(JSON.parse(readFileSync(join(results, name), 'utf8')));
    const cells = result.cells.map((cell, index) =>
      index === 0 ? { ...cell, verdict: 'duplicate' as const, duplicate: ['check-in' as const] } : cell,
    );
    expect(isWell({ ...result, cells })).toBe(false);
    expect(printed({ ...result, cells })).toMatch(/DUPL 1 worker before seal: lost none; duplicate check-in/);
    expect(isWell({ ...result, openTasks: 1 })).toBe(false);
  });
});
