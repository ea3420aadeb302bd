import { isMap, parseDocument } from 'yaml';
import type { Document, YAMLMap } from 'yaml';
import { z } from 'zod';
import type { SchemaAttribute } from '../connectors/connector.js';
import type { PolicyFile } from '../domain/policy/types.js';
import { accountAttributes, schemaAttribute } from './mapping.js';
import type { TestTools } from './test-application.js';
import { contextFor, failureText } from './test-application.js';

export type Discovery =
  | {
      readonly ok: true;
      readonly text: string;
      readonly added: readonly string[];
      readonly toFillIn: readonly string[];
    }
  | { readonly ok: false; readonly isFileWrong: boolean; readonly message: string };

/** What a file must have before its target can be asked. */
const asked = z.looseObject({
  slug: z.string(),
  connector: z.string(),
  config: z.record(z.string(), z.unknown()).default({}),
});

/** Names that targets use, without case and punctuation, and what they mean here. */
const KNOWN: Readonly<Record<string, string>> = {
  externalid: 'person.id',
  displayname: 'person.displayName',
  fullname: 'person.displayName',
  cn: 'person.displayName',
  givenname: 'person.givenName',
  firstname: 'person.givenName',
  namegivenname: 'person.givenName',
  familyname: 'person.familyName',
  lastname: 'person.familyName',
  surname: 'person.familyName',
  sn: 'person.familyName',
  namefamilyname: 'person.familyName',
  mail: 'account.mail',
  email: 'account.mail',
  emailaddress: 'account.mail',
  employeenumber: 'person.employeeNumber',
  employeeid: 'person.employeeNumber',
  staffid: 'person.employeeNumber',
  enterpriseemployeenumber: 'person.employeeNumber',
  department: 'person.department',
  enterprisedepartment: 'person.department',
  title: 'person.title',
  jobtitle: 'person.title',
  location: 'person.location',
  company: 'person.company',
  division: 'person.division',
  enterprisedivision: 'person.division',
  costcenter: 'person.costCenter',
  enterprisecostcenter: 'person.costCenter',
  telephonenumber: 'person.workPhone',
  workphone: 'person.workPhone',
  phone: 'person.workPhone',
  enterprisemanagervalue: 'manager.nativeId',
};
/** Elements of lists that SCIM targets have without saying so. */
const ELEMENTS: Readonly<Record<string, string>> = {
  'emails[type eq "work"].value': 'account.mail',
  'phoneNumbers[type eq "work"].value': 'person.workPhone',
};
const STRONG = new Set(['person.id', 'person.employeeNumber']);

/**
 * Completes an application file from the live schema of its target: login, attributes and correlation that are missing. What stands in the file stays, comments
 * too; what the target requires and nobody knows is a comment to fill in. Reads only.
 */
export async function discover(file: PolicyFile, tools: Omit<TestTools, 'progress'>): Promise<Discovery> {
  const document = parseDocument(file.text);
  const parsed = asked.safeParse(document.errors.length > 0 ? undefined : document.toJS());
  if (!parsed.success || !isMap(document.contents))
    return { ok: false, isFileWrong: true, message: 'slug, connector and config are needed, as valid YAML' };
  const { slug, connector: kind, config } = parsed.data;
  const problems = tools.registry.check(kind, config);
  if (problems.length > 0)
    return {
      ok: false,
      isFileWrong: true,
      message: `config is not complete:${problems.map((one) => `\n  config.${one}`).join('')}\nThe connector asks for it before the target can be read; docs/connectors/${kind}.md has an example.`,
    };
  try {
    await tools.prepare(config);
    const connector = tools.registry.create(kind, slug, config, tools.deps);
    try {
      const health = await connector.health(contextFor(tools));
      if (!health.ok)
        return {
          ok: false,
          isFileWrong: false,
          message: `the target does not answer: ${health.code ?? 'UNAVAILABLE'}`,
        };
      const schema = accountAttributes(await connector.schema(contextFor(tools)));
      return complete(document, document.contents, schema, connector.capabilities().objectClasses.account.findBy);
    } finally {
      await connector.close();
    }
  } catch (error) {
    return { ok: false, isFileWrong: true, message: failureText(error) };
  }
}

function complete(
  document: Document,
  root: YAMLMap,
  schema: readonly SchemaAttribute[],
  findBy: readonly string[],
): Discovery {
  const added: string[] = [];
  const put = (key: string, value: unknown): void => {
    if (root.has(key)) return;
    document.set(key, document.createNode(value));
    added.push(key);
  };
  put('name', document.get('slug'));
  put('login', 'account.userName');
  const proposed = proposal(schema);
  const present = document.get('attributes');
  const existing = isMap(present) ? (present.toJSON() as Record<string, unknown>) : undefined;
  const missing = Object.entries(proposed).filter(([name]) => existing?.[name] === undefined);
  if (existing === undefined) document.set('attributes', document.createNode({}));
  for (const [name, source] of missing) document.setIn(['attributes', name], source);
  if (missing.length > 0) added.push(...missing.map(([name]) => `attributes.${name}`));
  const mapped = { ...proposed, ...existing } as Record<string, string>;
  const toFillIn = schema.filter((one) => one.required && one.name !== 'login' && mapped[one.name] === undefined);
  const attributes = document.get('attributes');
  if (isMap(attributes) && toFillIn.length > 0) {
    const lines = toFillIn.map((one) => ` ${one.name}: CEL EXPRESSION  (${one.type}, required by the target: fill in)`);
    const old = attributes.comment ?? '';
    const fresh = lines.filter((line) => !old.includes(line));
    attributes.comment = [old, ...fresh].filter((line) => line !== '').join('\n');
  }
  const canFind = (name: string): boolean => findBy.includes('*') || findBy.includes(name);
  const keysBy = (is: (source: string) => boolean) =>
    Object.entries(mapped)
      .filter(([name, source]) => is(source) && canFind(name))
      .map(([name]) => name);
  put('correlation', {
    strong: keysBy((source) => STRONG.has(source)),
    weak: ['login', ...keysBy((source) => source === 'account.mail')],
  });
  return { ok: true, text: document.toString({ lineWidth: 0 }), added, toFillIn: toFillIn.map((one) => one.name) };
}

function proposal(schema: readonly SchemaAttribute[]): Readonly<Record<string, string>> {
  const direct = schema
    .filter((one) => one.writable && one.type === 'string' && one.name !== 'login')
    .flatMap(({ name }) => {
      const source = KNOWN[name.toLowerCase().replaceAll(/[^a-z0-9]/g, '')];
      return source === undefined ? [] : [[name, source] as const];
    });
  const elements = Object.entries(ELEMENTS).filter(([name]) => {
    const attribute = schemaAttribute(schema, name);
    return attribute !== undefined && attribute.writable;
  });
  return Object.fromEntries([...direct, ...elements]);
}
