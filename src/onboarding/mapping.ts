import type { Capabilities, SchemaAttribute, TargetSchema } from '../connectors/connector.js';
import { checkExpression, createEnvironments } from '../domain/policy/expressions.js';
import type { SourcedFile } from '../domain/policy/read-files.js';
import type { ApplicationFile } from '../domain/policy/schemas.js';
import type { YamlPath } from '../domain/policy/yaml-source.js';
import type { TestFinding } from './report.js';

/** CEL types that a target's attribute takes. */
const FITTING: Readonly<Record<SchemaAttribute['type'], readonly string[]>> = {
  string: ['string'],
  number: ['int', 'double', 'uint'],
  boolean: ['bool'],
  strings: ['list<string>', 'string'],
};

/** Attributes of accounts at the target. */
export function accountAttributes(schema: TargetSchema): readonly SchemaAttribute[] {
  return schema.objectClasses.find((one) => one.name === 'account')?.attributes ?? [];
}

/** The attribute of a schema that a mapped name means: itself, or for one element of a list (`emails[type eq "work"].value`) the list. */
export function schemaAttribute(attributes: readonly SchemaAttribute[], name: string): SchemaAttribute | undefined {
  const exact = attributes.find((one) => one.name === name);
  if (exact !== undefined) return exact;
  const base = /^([^[\]]+)\[[^\]]+\](\.\w+)?$/.exec(name)?.[1];
  const list = base === undefined ? undefined : attributes.find((one) => one.name === base);
  return list === undefined ? undefined : { ...list, name, type: 'string', required: false };
}

/** Compares the mapping of a file with what the target has: names, writability, what is required, types. Pure. */
export function mappingFindings(file: SourcedFile<ApplicationFile>, schema: TargetSchema): readonly TestFinding[] {
  const known = accountAttributes(schema);
  const environments = createEnvironments();
  const finding = finder(file, 'mapping');
  const mapped = Object.entries(file.value.attributes).flatMap(([name, source]): readonly TestFinding[] => {
    const at: YamlPath = ['attributes', name];
    const attribute = schemaAttribute(known, name);
    if (attribute === undefined)
      return name.startsWith('urn:')
        ? [finding('warning', 'not-in-schema', `${name} is not in the target's schema`, at, 'tried when it is written')]
        : [finding('error', 'unknown-attribute', `the target has no attribute ${name}`, at, namesOf(known))];
    if (!attribute.writable)
      return [finding('error', 'not-writable', `${name} cannot be written at the target`, at, 'a writable attribute')];
    const checked = checkExpression(environments, 'attribute', { source, file: file.source.path, line: 0 });
    // What does not compile is told by the check of the configuration.
    if (!checked.ok || FITTING[attribute.type].includes(checked.checked.type)) return [];
    const message = `${name} gets ${checked.checked.type}`;
    return [
      finding('error', 'type-differs', message, at, `${FITTING[attribute.type].join(' or ')} (${attribute.type})`),
    ];
  });
  const missing = known
    .filter((one) => one.required && one.name !== 'login' && file.value.attributes[one.name] === undefined)
    .map((one) =>
      finding(
        'error',
        'required-not-mapped',
        `${one.name} is required by the target and not mapped`,
        ['attributes'],
        `attributes: { ${one.name}: … }`,
      ),
    );
  return [...mapped, ...missing];
}

/** Correlation keys by which the connector cannot search. Without a search an account is made twice where one is there already. Pure. */
export function correlationFindings(
  file: SourcedFile<ApplicationFile>,
  capabilities: Capabilities,
): readonly TestFinding[] {
  const { findBy } = capabilities.objectClasses.account;
  const finding = finder(file, 'correlation');
  const expected = `login${findBy.includes('*') ? ', any attribute' : findBy.map((one) => `, ${one}`).join('')}`;
  const { strong, weak } = file.value.correlation;
  const none =
    strong.length === 0
      ? [
          finding(
            'warning',
            'no-strong-key',
            'no strong key: existing accounts are never recognised without a person',
            ['correlation'],
          ),
        ]
      : [];
  const unsearchable = (['strong', 'weak'] as const).flatMap((strength) =>
    file.value.correlation[strength].flatMap((key, index) =>
      key === 'login' || findBy.includes('*') || findBy.includes(key)
        ? []
        : [
            finding(
              strength === 'strong' ? 'error' : 'warning',
              'not-searchable',
              `the connector cannot search by ${key}`,
              ['correlation', strength, index],
              expected,
            ),
          ],
    ),
  );
  return weak.length + strong.length === 0
    ? [finding('warning', 'no-keys', 'no correlation keys: every existing account is an orphan', ['correlation'])]
    : [...none, ...unsearchable];
}

/** Makes findings that name file and line. */
export function finder(file: SourcedFile<unknown>, check: TestFinding['check']) {
  return (
    severity: TestFinding['severity'],
    code: string,
    message: string,
    at: YamlPath,
    expected?: string,
  ): TestFinding => ({
    check,
    severity,
    code,
    message,
    file: file.source.path,
    line: file.source.lineOf(at),
    ...(expected === undefined ? {} : { expected }),
  });
}

function namesOf(attributes: readonly SchemaAttribute[]): string {
  const shown = attributes.filter((one) => one.writable && one.name !== 'login').map((one) => one.name);
  return `one of ${shown.slice(0, 30).join(', ')}${shown.length > 30 ? ', …' : ''}`;
}
