/** A text that takes about so many bytes as JSON. */
export function filling(bytes: number): string {
  return 'x'.repeat(Math.max(0, bytes - 2));
}
