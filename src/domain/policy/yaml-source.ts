import { LineCounter, isMap, isNode, isScalar, parseDocument } from 'yaml';
import type { Document } from 'yaml';
import type { PolicyFile, PolicyProblem } from './types.js';

export type YamlPath = readonly (string | number)[];

/** One parsed policy file that can tell the line of every value. */
export interface YamlSource {
  readonly path: string;
  readonly value: unknown;
  readonly problems: readonly PolicyProblem[];
  /** 1-based line of the value at `path`; of the nearest enclosing one when it is missing. */
  lineOf(path: YamlPath): number;
  /** 1-based line of a character inside a text value (block scalars span lines). */
  lineInText(path: YamlPath, offset: number): number;
}

/** Parses one YAML 1.2 file; syntax errors and duplicate keys become problems with their lines, never exceptions. Pure. */
export function parseYamlSource(file: PolicyFile): YamlSource {
  const counter = new LineCounter();
  const document = parseDocument(file.text, { lineCounter: counter, uniqueKeys: true });
  const problems = document.errors.map((error) => ({
    file: file.path,
    line: error.linePos?.[0].line ?? 1,
    path: '',
    message: (error.message.split('\n')[0] ?? 'invalid YAML').replace(/ at line \d+, column \d+:?$/, ''),
    expected: 'YAML 1.2, one document per file',
  }));
  const lineOf = (path: YamlPath): number => counter.linePos(offsetOf(document, path)).line || 1;
  return {
    path: file.path,
    value: problems.length === 0 ? document.toJS({ maxAliasCount: 20 }) : undefined,
    problems,
    lineOf,
    lineInText: (path, offset) => lineOf(path) + linesBefore(document, path, offset),
  };
}

function offsetOf(document: Document, path: YamlPath): number {
  for (let length = path.length; length > 0; length -= 1) {
    const node = document.getIn(path.slice(0, length), true);
    if (isNode(node) && node.range) {
      return node.range[0];
    }
  }
  return document.contents?.range?.[0] ?? 0;
}

function linesBefore(document: Document, path: YamlPath, offset: number): number {
  const node = document.getIn(path, true);
  if (!isScalar(node) || typeof node.value !== 'string') {
    return 0;
  }
  const breaks = node.value.slice(0, offset).split('\n').length - 1;
  return node.type === 'BLOCK_LITERAL' || node.type === 'BLOCK_FOLDED' ? breaks + 1 : breaks;
}

/** 1-based line of a key of a map, for findings about the key itself; falls back to the map. */
export function lineOfKey(text: string, path: YamlPath, key: string): number {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter });
  const node = path.length === 0 ? document.contents : document.getIn(path, true);
  if (isMap(node)) {
    const pair = node.items.find((item) => isScalar(item.key) && item.key.value === key);
    if (pair && isScalar(pair.key) && pair.key.range) {
      return counter.linePos(pair.key.range[0]).line;
    }
  }
  return counter.linePos(offsetOf(document, path)).line || 1;
}
