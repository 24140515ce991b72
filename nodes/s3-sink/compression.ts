import { promisify } from 'node:util';
import { gzip, zstdCompress } from 'node:zlib';
import type { Config } from './config.js';

interface Compression {
  /** What the key of an object ends in. */
  readonly suffix: '.gz' | '.zst' | '';
  /**
   * Athena, Spark and DuckDB go by the suffix of the key, so the object is the compressed file itself. A Content-Encoding
   * would have HTTP clients unpack it under a name that still ends in .gz. Undefined: that of the format.
   */
  readonly contentType: string | undefined;
  readonly compress: (bytes: Buffer) => Promise<Buffer>;
}

export const COMPRESSIONS: Readonly<Record<Config['compression'], Compression>> = {
  none: { suffix: '', contentType: undefined, compress: (bytes) => Promise.resolve(bytes) },
  gzip: { suffix: '.gz', contentType: 'application/gzip', compress: promisify(gzip) },
  // RFC 8878, section 7.1
  zstd: { suffix: '.zst', contentType: 'application/zstd', compress: promisify(zstdCompress) },
};
