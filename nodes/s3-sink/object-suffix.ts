import { COMPRESSIONS } from './compression.js';
import type { Config } from './config.js';
import type { RecordFormat } from './format.js';

/** What suffixes of files say that is in them, to readers such as Athena, Spark and DuckDB. */
const FORMATS: Readonly<Record<string, Config['format'] | undefined>> = {
  '.ndjson': 'ndjson',
  '.jsonl': 'ndjson',
  '.json': 'ndjson',
  '.csv': 'csv',
};
const COMPRESSED = ['.gz', '.zst', '.zstd', '.bz2', '.xz', '.lz4', '.snappy'];

/** What `{suffix}` stands for. */
export function suffixOf(format: RecordFormat, compression: Config['compression']): string {
  return format.suffix + COMPRESSIONS[compression].suffix;
}

/**
 * What is wrong with a key whose end was typed and would mislead readers; undefined when nothing is. A name that says
 * nothing of the format is fine.
 */
export function suffixProblem(
  { key, format, compression }: Pick<Config, 'key' | 'format' | 'compression'>,
  suffix: string,
): string | undefined {
  if (key.endsWith('{suffix}')) return undefined;
  const compressed = COMPRESSED.find((end) => key.endsWith(end)) ?? '';
  const end = /\.[a-z]+$/.exec(key.slice(0, key.length - compressed.length))?.[0] ?? '';
  const said = FORMATS[end];
  if (compressed === COMPRESSIONS[compression].suffix && (said === undefined || said === format)) return undefined;
  return `expected a key that ends in {suffix} or ${suffix} with ${format} and ${compression}, got ${JSON.stringify(key)}`;
}
