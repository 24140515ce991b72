/** S3's own limit on a key, in UTF-8 bytes (Amazon S3 User Guide, "Naming Amazon S3 objects"). */
const MAX_BYTES = 1_024;

/**
 * What is wrong with the key of an object, as `expected …, got …`; undefined when nothing is. A key that is right stays
 * below its folder or prefix, on a disk as in a bucket.
 */
export function objectKeyProblem(key: string): string | undefined {
  const got = `got ${JSON.stringify(key.length <= 200 ? key : `${key.slice(0, 197)}…`)}`;
  if (key === '') return `expected an object key of at least one character, ${got}`;
  const bytes = new TextEncoder().encode(key).length; // the editor has no Buffer
  if (bytes > MAX_BYTES) return `expected an object key of at most ${MAX_BYTES} bytes, got ${bytes}`;

  if (/[\u0000-\u001f\u007f\\]/.test(key)) {
    return `expected an object key without control characters and backslashes, ${got}`;
  }
  if (key.startsWith('/')) return `expected an object key that does not begin with /, ${got}`;
  for (const segment of key.split('/')) {
    if (segment === '') return `expected an object key without empty folders (//, or / at its end), ${got}`;
    if (segment === '.' || segment === '..') return `expected an object key without the folders . and .., ${got}`;
  }
  return undefined;
}

/**
 * A value as a part of a key: percent-encoded, byte by byte of its UTF-8, outside `[A-Za-z0-9._=-]`, which is how Hive
 * writes the value of a partition. It never makes a folder of its own.
 */
export function encodeKeyPart(value: string): string {
  return value
    .toWellFormed() // encodeURIComponent throws on half of a surrogate pair
    .replace(/[^A-Za-z0-9._=-]+/g, (text) =>
      encodeURIComponent(text).replace(/[!'()*~]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`),
    );
}
