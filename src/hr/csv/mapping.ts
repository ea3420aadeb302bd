import { Environment } from '@marcbachmann/cel-js';
import { parseYamlSource } from '../../domain/policy/yaml-source.js';
import type { YamlSource } from '../../domain/policy/yaml-source.js';
import type { ZoneId } from '../../domain/process/ids.js';
import { problemsOf } from '../problems.js';
import { compileDateFormat } from './dates.js';
import type { DateFormat } from './dates.js';
import { mappingSchema } from './mapping-schema.js';
import type { DateField, MappingFile, Standing } from './mapping-schema.js';

/** What is wrong in a mapping file, and where. */
export interface MappingProblem {
  readonly file: string;
  readonly line: number;
  readonly path: string;
  readonly message: string;
  readonly expected: string;
}

/** The mapping file cannot be used; nothing was read from the CSV file. */
export class MappingError extends Error {
  override readonly name = 'MappingError';
  readonly problems: readonly MappingProblem[];
  constructor(problems: readonly MappingProblem[]) {
    super(
      problems
        .map((one) => `${one.file}:${one.line} ${one.path}: ${one.message}; expected: ${one.expected}`)
        .join('\n'),
    );
    this.problems = problems;
  }
}

/** A row's cells by alias, trimmed; a column that is not in the file is empty text. */
export type Cells = Readonly<Record<string, string>>;
export interface CellExpression {
  /** Aliases that it reads, in order: the first one names the column of a problem. */
  readonly reads: readonly string[];
  run(cells: Cells): string;
}
export interface ColumnRule {
  readonly alias: string;
  readonly headers: readonly string[];
  readonly required: boolean;
  readonly optional: boolean;
}
export interface Mapping {
  readonly source: string;
  readonly encoding: MappingFile['file']['encoding'];
  readonly delimiter: MappingFile['file']['delimiter'];
  readonly zone: { readonly default: ZoneId; readonly from?: CellExpression };
  readonly formats: readonly DateFormat[];
  readonly columns: readonly ColumnRule[];
  readonly person: CellExpression;
  readonly employment: CellExpression;
  readonly worker: CellExpression;
  readonly manager?: CellExpression;
  readonly manner?: CellExpression;
  readonly name?: { readonly from: CellExpression; readonly order: NonNullable<MappingFile['name']>['order'] };
  readonly dates: Readonly<Partial<Record<DateField, CellExpression>>> & { readonly startOn: CellExpression };
  readonly status?: { readonly from: CellExpression; readonly values: ReadonlyMap<string, Standing> };
  readonly attributes: Readonly<Record<string, CellExpression>>;
}

/**
 * Reads and type-checks a mapping file: every expression is CEL over `row.<alias>` and gives text.
 * @throws MappingError with file, line, what is wrong and what was expected, for all findings at once.
 */
export function loadMapping(file: { readonly path: string; readonly text: string }): Mapping {
  const source = parseYamlSource(file);
  if (source.problems.length > 0) throw new MappingError(source.problems);
  const parsed = mappingSchema.safeParse(source.value, { reportInput: true });
  if (!parsed.success)
    throw new MappingError(
      problemsOf(parsed.error).map((problem) => ({
        file: file.path,
        line: source.lineOf(problem.path.split(/[.[\]]/).filter((part) => part !== '')),
        ...problem,
      })),
    );
  return new Compiler(source, parsed.data).compile();
}

class Compiler {
  readonly #problems: MappingProblem[] = [];
  readonly #environment: Environment;

  constructor(
    private readonly source: YamlSource,
    private readonly file: MappingFile,
  ) {
    const schema = Object.fromEntries(Object.keys(file.columns).map((alias) => [alias, 'string']));
    this.#environment = new Environment({ limits: { maxAstNodes: 2000, maxDepth: 50 } })
      .registerVariable({ name: 'row', schema })
      .registerFunction('coalesce(string, string): string', (a: string, b: string) => (a === '' ? b : a))
      .registerFunction('replace(string, string, string): string', (text: string, from: string, to: string) =>
        text.replaceAll(from, to),
      );
  }

  compile(): Mapping {
    const { file } = this;
    const optional = <K extends string>(name: K, text: string | undefined, path: readonly string[] = [name]) =>
      text === undefined ? {} : ({ [name]: this.expression(path, text) } as Record<K, CellExpression>);
    const dates = Object.fromEntries(
      Object.entries(file.dates).flatMap(([name, text]) =>
        text === undefined ? [] : [[name, this.expression(['dates', name], text)]],
      ),
    ) as Mapping['dates'];
    const mapping: Mapping = {
      source: file.source,
      ...file.file,
      zone: { default: file.zone.default as ZoneId, ...optional('from', file.zone.from, ['zone', 'from']) },
      formats: file.dateFormats.flatMap((format) => compileDateFormat(format) ?? []),
      columns: Object.entries(file.columns).map(([alias, column]) => columnRule(alias, column)),
      person: this.expression(['person'], file.person),
      employment: this.expression(['employment'], file.employment),
      worker: this.expression(['worker'], file.worker),
      ...optional('manager', file.manager),
      ...optional('manner', file.manner),
      ...(file.name === undefined
        ? {}
        : { name: { from: this.expression(['name', 'from'], file.name.from), order: file.name.order } }),
      dates,
      ...(file.status === undefined
        ? {}
        : {
            status: {
              from: this.expression(['status', 'from'], file.status.from),
              values: new Map(Object.entries(file.status.values).map(([word, standing]) => [foldWord(word), standing])),
            },
          }),
      attributes: Object.fromEntries(
        Object.entries(file.attributes).map(([name, text]) => [name, this.expression(['attributes', name], text)]),
      ),
    };
    if (this.#problems.length > 0) throw new MappingError(this.#problems);
    return mapping;
  }

  private expression(path: readonly string[], text: string): CellExpression {
    const result = this.#environment.check(text);
    if (!result.valid || result.type !== 'string') {
      this.#problems.push({
        file: this.source.path,
        line: this.source.lineInText(path, result.error?.range?.start ?? 0),
        path: path.join('.'),
        message: result.valid
          ? `the expression gives ${result.type ?? 'nothing'}`
          : (result.error?.summary ?? 'invalid'),
        expected: `a CEL expression that gives text, over ${Object.keys(this.file.columns)
          .map((name) => `row.${name}`)
          .join(', ')}`,
      });
      return { reads: [], run: () => '' };
    }
    const run = this.#environment.parse(text);
    const reads = [...new Set([...text.matchAll(/\brow\.([A-Za-z0-9]+)/g)].map((match) => match[1] ?? ''))];
    return { reads, run: (cells) => String(run({ row: cells })).trim() };
  }
}

function columnRule(alias: string, column: MappingFile['columns'][string]): ColumnRule {
  const plain = typeof column === 'string' || Array.isArray(column);
  const header = plain ? column : column.header;
  return {
    alias,
    headers: (typeof header === 'string' ? [header] : header).map(foldWord),
    required: plain ? false : column.required,
    optional: plain ? false : column.optional,
  };
}

/** Headers and status words compare without case and without doubled or outer blanks. */
export function foldWord(text: string): string {
  return text.normalize('NFC').trim().replaceAll(/\s+/g, ' ').toLowerCase();
}
