import { transliterate } from 'transliteration';

/** Locale -> character -> replacement; the locale `default` applies to everyone, after the person's own. */
export type TransliterationTables = Readonly<Record<string, Readonly<Record<string, string>>>>;

/**
 * A name in the letters a-z, digits and hyphens: the policy's tables of the person's locale first (`de-AT`, then `de`, then `default`), general
 * transliteration for the rest. Apostrophes, blanks and direction marks go. Casing never depends on the machine's locale, so a Turkish dotted or
 * dotless i gives `i` everywhere. Empty when nothing is left. Pure.
 */
export function asciiName(text: string, locale: string | undefined, tables: TransliterationTables): string {
  const chain = localeChain(locale).flatMap((name) => {
    const table = tables[name];
    return table ? [table] : [];
  });
  const replaced = [...text.normalize('NFC')].map((character) => replacementOf(character, chain)).join('');
  return transliterate(replaced)
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9-]/g, '')
    .replace(/-{2,}/g, '-')
    .replace(/^-|-$/g, '');
}

function localeChain(locale: string | undefined): readonly string[] {
  const parts = (locale ?? '').replaceAll('_', '-').split('-').filter(Boolean);
  const names = parts.map((_, index) => parts.slice(0, parts.length - index).join('-'));
  return [...names, ...(parts[0] ? [parts[0].toLowerCase()] : []), 'default'];
}

function replacementOf(character: string, chain: readonly Readonly<Record<string, string>>[]): string {
  for (const table of chain) {
    const found = table[character] ?? table[character.toLowerCase()];
    if (found !== undefined) {
      return found;
    }
  }
  return character;
}
