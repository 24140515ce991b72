/**
 * What is wrong with the name of a collection to store in; undefined when nothing is.
 * https://www.mongodb.com/docs/manual/reference/limits/#naming-restrictions
 */
export function collectionNameProblem(name: string): string | undefined {
  const expected = (what: string): string => `expected the name of a collection ${what}, got ${JSON.stringify(name)}`;
  if (name === '') return expected('of at least one character');
  if (!name.isWellFormed()) return expected('in whole characters');
  if (name.includes('$') || name.includes('\0')) return expected('without $ and U+0000');
  if (name.startsWith('system.')) return expected('that does not begin with system.');
  if (name.startsWith('.') || name.endsWith('.') || name.includes('..')) return expected('without an empty part');
  if (Buffer.byteLength(name) > 190) return expected('of at most 190 bytes'); // 255 with the database (63) and the dot
  return undefined;
}
