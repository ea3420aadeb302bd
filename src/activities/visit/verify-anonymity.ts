import type { AttributeValue } from '../../connectors/connector.js';
import type { Operation } from '../../domain/plan/types.js';
import { refOf } from './apply.js';
import { operationContext } from './fence.js';
import type { AccountRow, VisitContext } from './load.js';
import type { Finding } from './verify.js';

/** Fields of HR that say who somebody is; a department or a cost centre does not. */
const IDENTIFYING =
  /\b(givenName|familyName|middleName|preferredName|displayName|employeeNumber|workPhone|personalMail|userName|mail)\b/;
/** Shorter texts stand in anything. */
const TELLING_LENGTH = 4;

/** Reads an anonymised account and looks for what it said of the person before: the login, and every attribute made from a name, number or address. */
export async function verifyAnonymity(
  visit: VisitContext,
  operation: Operation,
  account: AccountRow,
): Promise<Finding> {
  const check = { operationKey: operation.key, check: 'anonymity' as const, road: 'read' };
  const ctx = operationContext(visit, `${visit.row.visit_id}/anonymity`, false);
  const observed = await visit.connector.get(refOf(account), ctx);
  // That it is still there is the state check's question; an account that is gone says nothing.
  if (observed === undefined) return { ...check, verdict: 'proven', code: 'absent', seen: {} };
  const texts = { login: observed.login, ...observed.attributes };
  const telling = tellingValues(visit, account);
  const left = Object.entries(texts)
    .filter(([, value]) => textsOf(value).some((text) => telling.some((one) => text.includes(one))))
    .map(([name]) => name)
    .sort();
  return left.length === 0
    ? { ...check, verdict: 'proven', code: 'ok', seen: {} }
    : { ...check, verdict: 'refuted', code: 'still-named', seen: { attributes: left } };
}

function tellingValues(visit: VisitContext, account: AccountRow): readonly string[] {
  const mapped = Object.entries(visit.application.attributes)
    .filter(([, expression]) => IDENTIFYING.test(expression.source))
    .flatMap(([name]) => textsOf(account.attributes[name]));
  return [account.login.toLowerCase(), ...mapped].filter((text) => text.length >= TELLING_LENGTH);
}

function textsOf(value: AttributeValue | undefined): readonly string[] {
  const values = typeof value === 'string' ? [value] : Array.isArray(value) ? (value as readonly string[]) : [];
  return values.map((one) => one.toLowerCase());
}
