/** A path template in its parts: text as it is, and the CEL source between braces. */
export type PathPart = { readonly text: string } | { readonly source: string };

/** Reads `/users/{account.id}/groups`. A brace inside an expression is not possible, so no map can be built in a path. Pure. */
export function parsePath(template: string): readonly PathPart[] {
  return template.split(/(\{[^{}]*\})/).flatMap((part): PathPart[] => {
    if (part === '') return [];
    return part.startsWith('{') && part.endsWith('}') ? [{ source: part.slice(1, -1) }] : [{ text: part }];
  });
}

export function pathExpressions(template: string): readonly string[] {
  return parsePath(template).flatMap((part) => ('source' in part ? [part.source] : []));
}
