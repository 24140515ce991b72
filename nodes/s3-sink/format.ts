import type { Message } from '../lib/message.js';
import type { Config } from './config.js';
import { CsvFormat } from './csv.js';
import { NdjsonFormat } from './ndjson.js';

/** How an object holds its records: one a line, which ends in \n. */
export interface RecordFormat {
  /** What the names of its files end in. */
  readonly suffix: string;
  /** A media type. */
  readonly contentType: string;
  /** The line that an object begins with, without its end; undefined for none. */
  readonly head: string | undefined;
  /**
   * A message as one line, without its end.
   *
   * @param receivedAt - milliseconds since 1970-01-01T00:00Z
   * @throws RejectedError `payload` when the format cannot carry it
   */
  line(message: Message, receivedAt: number): string;
}

export function recordFormat(config: Config, instance: string): RecordFormat {
  return config.format === 'csv' ? new CsvFormat(config, instance) : new NdjsonFormat(config.line);
}
