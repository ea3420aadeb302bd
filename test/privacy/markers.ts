/** Values planted into a story, and every disguise in which they could turn up where they must not. */
export interface Marker {
  readonly name: string;
  readonly value: string;
}

/** A planted value that was found, and how it was written there. */
export interface Sighting {
  readonly marker: string;
  readonly form: string;
}

type Needle = Sighting & { readonly text: string; readonly exact: boolean };

/** Finds markers in text: as they are in any case, percent-encoded, JSON-escaped, in hex, and in base64 at any offset. */
export function createFinder(markers: readonly Marker[]): (text: string) => readonly Sighting[] {
  const needles = markers.flatMap(needlesOf);
  return (text) => {
    const lower = text.toLowerCase();
    return needles
      .filter((needle) => (needle.exact ? text : lower).includes(needle.text))
      .map(({ marker, form }) => ({ marker, form }));
  };
}

function needlesOf({ name, value }: Marker): readonly Needle[] {
  const lower = value.toLowerCase();
  const cases = [...new Set([value, lower, value.toUpperCase()])];
  const escaped = [...lower].map((letter) => (letter > '~' ? `\\u${hex(letter)}` : letter)).join('');
  return [
    { marker: name, form: 'plain', text: lower, exact: false },
    { marker: name, form: 'url-encoded', text: encodeURIComponent(lower).toLowerCase(), exact: false },
    { marker: name, form: 'json-escaped', text: escaped, exact: false },
    ...cases.map((one) => ({
      marker: name,
      form: 'hex',
      text: Buffer.from(one).toString('hex'),
      exact: false,
    })),
    ...cases.flatMap((one) =>
      ['base64' as const, 'base64url' as const].flatMap((form) =>
        [0, 1, 2].map((offset) => ({ marker: name, form, text: base64At(one, offset, form), exact: true })),
      ),
    ),
  ];
}

function hex(letter: string): string {
  return (letter.codePointAt(0) ?? 0).toString(16).padStart(4, '0');
}

/** The characters that stand for a text in base64 wherever it begins, without those that its neighbours share. */
function base64At(text: string, offset: number, form: 'base64' | 'base64url'): string {
  const bytes = Buffer.from(text);
  const encoded = Buffer.concat([Buffer.alloc(offset), bytes]).toString(form);
  const first = Math.ceil((offset * 8) / 6);
  const last = Math.floor(((offset + bytes.length) * 8) / 6);
  return encoded.slice(first, last);
}
