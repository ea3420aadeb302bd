import type {
  AccountRef,
  Connector,
  ConnectorOperation,
  Forwarding,
  OperationContext,
} from '../../../src/connectors/connector.js';
import { setTimeout as delay } from 'node:timers/promises';
import { canMake, make } from './accounts.js';
import { can, group, newContext } from './checks.js';
import type { Checks } from './checks.js';
import { absent } from './groups-write.js';
import type { Beyond, Harness } from './harness.js';

/** How long a real message may be on its way. */
const PROOF_MS = 60_000;

/** Something that hangs on an account, is counted by the target's own list, and is taken away as a whole. */
interface Hanging {
  readonly list: ConnectorOperation;
  readonly take: ConnectorOperation;
  readonly plant: ((ref: AccountRef) => Promise<void>) | undefined;
  readonly peeked: keyof Beyond;
  count(connector: Connector, ref: AccountRef): Promise<number>;
  takeAway(connector: Connector, ref: AccountRef, ctx: OperationContext): Promise<{ readonly outcome: string }>;
}

async function takenAway(harness: Harness, checks: Checks, hanging: Hanging): Promise<void> {
  const { connector } = harness;
  if (!can(checks, connector, hanging.list, hanging.take) || !canMake(harness, checks)) {
    return;
  }
  if (hanging.plant === undefined || harness.peekBeyond === undefined) {
    checks.ok(false, `${hanging.take} is declared, and the harness can neither plant nor peek`);
    return;
  }
  const { ref } = await make(harness);
  checks.equal(await hanging.count(connector, ref), 0, `${hanging.list} of a new account`);
  const context = newContext();
  const idle = await hanging.takeAway(connector, ref, context);
  checks.equal([idle.outcome, context.markers()], ['already-in-state', 0], `${hanging.take} where there is nothing`);
  await hanging.plant(ref);
  await hanging.plant(ref);
  checks.ok((await hanging.count(connector, ref)) > 0, `${hanging.list} does not show what is there`);
  const fence = new Error('the generation is old');
  const refused = newContext({ sentMarker: () => Promise.reject(fence) });
  const thrown = await hanging.takeAway(connector, ref, refused).then(
    () => undefined,
    (error: unknown) => error,
  );
  checks.ok(thrown === fence, `${hanging.take}: what the marker throws does not pass through`);
  checks.ok((await hanging.count(connector, ref)) > 0, `${hanging.take} took something although the marker refused`);
  checks.equal((await hanging.takeAway(connector, ref, newContext())).outcome, 'applied', hanging.take);
  checks.equal((await harness.peekBeyond(ref))[hanging.peeked], 0, `what is left at the target after ${hanging.take}`);
  checks.equal(await hanging.count(connector, ref), 0, `${hanging.list} after ${hanging.take}`);
  const again = await hanging.takeAway(connector, ref, newContext());
  checks.equal(again.outcome, 'already-in-state', `a second ${hanging.take}`);
  await checks.fails('NOT_FOUND', `${hanging.take} of an absent account`, () =>
    hanging.takeAway(connector, absent(harness), newContext()),
  );
}

export const otherCredentialsGroup = group((harness, checks) =>
  takenAway(harness, checks, {
    list: 'listCredentials',
    take: 'revokeCredentials',
    plant: harness.plant.credential,
    peeked: 'credentials',
    count: async (connector, ref) => (await connector.listCredentials!(ref, newContext())).credentials.length,
    takeAway: (connector, ref, ctx) => connector.revokeCredentials!(ref, ctx),
  }),
);

export const privilegesGroup = group((harness, checks) =>
  takenAway(harness, checks, {
    list: 'listPrivileges',
    take: 'checkIn',
    plant: harness.plant.privilege,
    peeked: 'privileges',
    count: async (connector, ref) => {
      const { leases, sessions, checkedOut } = await connector.listPrivileges!(ref, newContext());
      return leases + sessions + checkedOut;
    },
    takeAway: (connector, ref, ctx) => connector.checkIn!(ref, ctx),
  }),
);

/** Everything goes to the heir, nothing is lost on the way. */
export const ownershipGroup = group(async (harness, checks) => {
  const { connector } = harness;
  if (!can(checks, connector, 'listOwned', 'transferOwned') || !canMake(harness, checks)) {
    return;
  }
  const heir = (await make(harness)).ref;
  await takenAway(harness, checks, {
    list: 'listOwned',
    take: 'transferOwned',
    plant: harness.plant.owned,
    peeked: 'owned',
    count: async (one, ref) => (await one.listOwned!(ref, newContext())).count,
    takeAway: (one, ref, ctx) => one.transferOwned!(ref, heir, ctx),
  });
  checks.equal((await harness.peekBeyond?.(heir))?.owned, 2, 'what the heir owns at the target');
  const { ref } = await make(harness);
  await harness.plant.owned?.(ref);
  await checks.fails('NOT_FOUND', 'an heir that does not exist', () =>
    connector.transferOwned!(ref, absent(harness), newContext()),
  );
  checks.equal((await harness.peekBeyond?.(ref))?.owned, 1, 'what is left when there is no heir');
});

export const forwardingGroup = group(async (harness, checks) => {
  const { connector } = harness;
  if (!can(checks, connector, 'readForwarding', 'setForwarding') || !canMake(harness, checks)) {
    return;
  }
  const { ref } = await make(harness);
  const read = () => connector.readForwarding!(ref, newContext());
  checks.equal(await read(), undefined, 'the forwarding of a new account');
  const [to, other] = harness.delegates ?? ['delegate@example.test', 'somebody.else@example.test'];
  const wanted = {
    to,
    keepsCopy: true,
    autoReply: {
      subject: 'No longer "here"',
      text: `Please write to "Zoë" <${to}>.\n.\nThank you; bye.`,
    },
  };
  checks.equal((await connector.setForwarding!(ref, wanted, newContext())).outcome, 'applied', 'a forwarding');
  checks.equal(await read(), wanted, 'the forwarding read back');
  checks.equal((await harness.peekBeyond?.(ref))?.forwarding, wanted, 'the forwarding at the target');
  const context = newContext();
  const again = await connector.setForwarding!(ref, wanted, context);
  checks.equal([again.outcome, context.markers()], ['already-in-state', 0], 'the same forwarding twice');
  if (can(checks, connector, 'proveDelivery')) {
    await deliveries(harness, ref, wanted, other, checks);
  }
  const none = { to: undefined, keepsCopy: true };
  checks.equal((await connector.setForwarding!(ref, none, newContext())).outcome, 'applied', 'no forwarding any more');
  checks.equal(await read(), undefined, 'the forwarding after it was taken away');
  await checks.fails('NOT_FOUND', 'a forwarding of an absent account', () =>
    connector.setForwarding!(absent(harness), wanted, newContext()),
  );
});

/** What is in place is proven in the end; what is not is never, also when it has been waited for as long again. */
async function deliveries(
  harness: Harness,
  ref: AccountRef,
  inPlace: Forwarding,
  elsewhere: string,
  checks: Checks,
): Promise<void> {
  const { connector } = harness;
  const started = Date.now();
  const { idempotencyKey } = newContext();
  const ask = () => connector.proveDelivery!(ref, inPlace, newContext({ idempotencyKey }));
  let proof = await ask();
  while ((proof.delivered !== true || proof.replied !== true) && Date.now() - started < PROOF_MS) {
    await delay(500);
    proof = await ask();
  }
  checks.equal([proof.delivered, proof.replied], [true, true], 'the proof of a forwarding that is in place');
  const took = Date.now() - started;
  const wrong = { to: elsewhere, keepsCopy: true };
  const context = newContext();
  await connector.proveDelivery!(ref, wrong, context);
  await delay(took);
  const found = await connector.proveDelivery!(ref, wrong, newContext({ idempotencyKey: context.idempotencyKey }));
  checks.equal([found.delivered, found.replied], [false, undefined], 'the proof of a forwarding that is not there');
}

/** The record stays, the person is gone from it. */
export const anonymiseGroup = group(async (harness, checks) => {
  const { connector } = harness;
  if (!can(checks, connector, 'anonymise') || !canMake(harness, checks)) {
    return;
  }
  const spec = harness.sampleAccount();
  const { ref } = await make(harness, spec);
  checks.equal((await connector.anonymise!(ref, newContext())).outcome, 'applied', 'an anonymise');
  const peeked = await harness.peek(ref);
  checks.ok(peeked !== undefined && !peeked.enabled, 'the account is not there, disabled, after an anonymise');
  checks.equal(await harness.countByLogin(spec.login), 0, 'accounts with the login after an anonymise');
  const left = JSON.stringify([peeked?.login, peeked?.attributes]);
  const values = [spec.login, ...Object.values(spec.attributes).filter((value) => String(value).length > 3)];
  checks.ok(!values.some((value) => left.includes(String(value))), 'a personal value survives an anonymise');
  checks.equal((await connector.anonymise!(ref, newContext())).outcome, 'already-in-state', 'a second anonymise');
  await checks.fails('NOT_FOUND', 'an anonymise of an absent account', () =>
    connector.anonymise!(absent(harness), newContext()),
  );
});
