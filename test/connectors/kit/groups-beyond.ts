import type { AccountRef, Connector, ConnectorOperation, OperationContext } from '../../../src/connectors/connector.js';
import { can, group, newContext } from './checks.js';
import type { Checks } from './checks.js';
import { absent } from './groups-write.js';
import type { Beyond, Harness } from './harness.js';

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
  if (!can(checks, connector, 'create', hanging.list, hanging.take)) {
    return;
  }
  if (hanging.plant === undefined || harness.peekBeyond === undefined) {
    checks.ok(false, `${hanging.take} is declared, and the harness can neither plant nor peek`);
    return;
  }
  const { ref } = await connector.create!(harness.sampleAccount(), newContext());
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
  if (!can(checks, connector, 'create', 'listOwned', 'transferOwned')) {
    return;
  }
  const heir = (await connector.create!(harness.sampleAccount(), newContext())).ref;
  await takenAway(harness, checks, {
    list: 'listOwned',
    take: 'transferOwned',
    plant: harness.plant.owned,
    peeked: 'owned',
    count: async (one, ref) => (await one.listOwned!(ref, newContext())).count,
    takeAway: (one, ref, ctx) => one.transferOwned!(ref, heir, ctx),
  });
  checks.equal((await harness.peekBeyond?.(heir))?.owned, 2, 'what the heir owns at the target');
  const { ref } = await connector.create!(harness.sampleAccount(), newContext());
  await harness.plant.owned?.(ref);
  await checks.fails('NOT_FOUND', 'an heir that does not exist', () =>
    connector.transferOwned!(ref, absent(harness), newContext()),
  );
  checks.equal((await harness.peekBeyond?.(ref))?.owned, 1, 'what is left when there is no heir');
});

export const forwardingGroup = group(async (harness, checks) => {
  const { connector } = harness;
  if (!can(checks, connector, 'create', 'readForwarding', 'setForwarding')) {
    return;
  }
  const { ref } = await connector.create!(harness.sampleAccount(), newContext());
  const read = () => connector.readForwarding!(ref, newContext());
  checks.equal(await read(), undefined, 'the forwarding of a new account');
  const wanted = {
    to: 'delegate@example.test',
    keepsCopy: true,
    autoReply: {
      subject: 'No longer here',
      text: 'Please write to "Zoë" <delegate@example.test>.\n.\nThank you; bye.',
    },
  };
  checks.equal((await connector.setForwarding!(ref, wanted, newContext())).outcome, 'applied', 'a forwarding');
  checks.equal(await read(), wanted, 'the forwarding read back');
  checks.equal((await harness.peekBeyond?.(ref))?.forwarding, wanted, 'the forwarding at the target');
  const context = newContext();
  const again = await connector.setForwarding!(ref, wanted, context);
  checks.equal([again.outcome, context.markers()], ['already-in-state', 0], 'the same forwarding twice');
  if (can(checks, connector, 'proveDelivery')) {
    const proof = await connector.proveDelivery!(ref, wanted, newContext());
    checks.equal([proof.delivered, proof.replied], [true, true], 'the proof of a forwarding that is in place');
    const elsewhere = { to: 'somebody.else@example.test', keepsCopy: true };
    const wrong = await connector.proveDelivery!(ref, elsewhere, newContext());
    checks.equal([wrong.delivered, wrong.replied], [false, undefined], 'the proof of a forwarding that is not there');
  }
  const none = { to: undefined, keepsCopy: true };
  checks.equal((await connector.setForwarding!(ref, none, newContext())).outcome, 'applied', 'no forwarding any more');
  checks.equal(await read(), undefined, 'the forwarding after it was taken away');
  await checks.fails('NOT_FOUND', 'a forwarding of an absent account', () =>
    connector.setForwarding!(absent(harness), wanted, newContext()),
  );
});

/** The record stays, the person is gone from it. */
export const anonymiseGroup = group(async (harness, checks) => {
  const { connector } = harness;
  if (!can(checks, connector, 'create', 'anonymise')) {
    return;
  }
  const spec = harness.sampleAccount();
  const { ref } = await connector.create!(spec, newContext());
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
