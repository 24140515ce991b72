import { CollectionReader, openObjectReader } from '@sluice/node-red/simulator';
import { DocumentSink } from './documents.js';
import { ObjectSink } from './objects.js';

/** What a record keeps where the id of its message may be. */
export type Candidates = readonly unknown[];

/** Where a flow has stored what was sent, to be read back. */
export interface Sink {
  /** What a sentence calls it. Never a secret. */
  readonly place: string;
  /** Changes when more is stored; cheap to ask for. @throws UnavailableError */
  mark(): Promise<string>;
  /** All that is stored. @throws UnavailableError */
  records(): AsyncIterable<Candidates>;
  close(): Promise<void>;
}

/**
 * @param uri - `mongodb://…`, `file:///…` or `s3://…`
 * @throws ConfigError for another, or one that is wrong; its sentence has no secret
 */
export function openSink(uri: string, collection: string): Sink {
  if (!/^mongodb(\+srv)?:/.test(uri)) return new ObjectSink(openObjectReader(uri));
  const user = process.env['SLUICE_MONGODB_USER'];
  const password = process.env['SLUICE_MONGODB_PASSWORD'];
  const credentials = { ...(user && { user }), ...(password && { password }) };
  return new DocumentSink(new CollectionReader(uri, credentials, collection));
}
