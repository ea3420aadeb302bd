/** What may cross a workflow boundary: Map, Set, Date and class instances do not survive it (style.md P3), so they do not type-check. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json | undefined };
