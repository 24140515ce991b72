import type { DeliveryTag } from '../delivery/outcome.js';

/** What records belong to that leave the spool together. */
export interface Bundle {
  readonly id: number;
  /** Kept once for all of them, from the first that is put in. */
  readonly about: string;
}

/** What is put into a spool. */
export interface NewRecord {
  /** When it was put in, in milliseconds since 1970-01-01T00:00Z. */
  readonly at: number;
  /** The delivery that it belongs to; none where nothing waits for it. */
  readonly delivery?: DeliveryTag | undefined;
  /** What makes it the same record when it comes again. */
  readonly identity?: string | undefined;
  readonly bundle?: Bundle | undefined;
  readonly body: Uint8Array;
}

export interface SpoolRecord extends Omit<NewRecord, 'bundle'> {
  /** Its place in the order: grows from record to record, not always by one, and is never given twice while there are records. */
  readonly seq: number;
}

/** A record that has left without being removed. */
export interface Gone {
  readonly seq: number;
  readonly delivery?: DeliveryTag | undefined;
}

/** A delivery that records belong to, and how many. */
export interface SpooledDelivery extends DeliveryTag {
  readonly records: number;
}

export interface Counts {
  readonly records: number;
  /** Of bodies and identities, and 100 for each record: about what they take of the file. */
  readonly bytes: number;
  /** When the first record in the order was put in; undefined when there is none. */
  readonly oldestAt: number | undefined;
}

export interface ReadLimits {
  readonly records: number;
  /** Of bodies. A larger record comes alone. */
  readonly bytes: number;
}

/** What went wrong with a file, and what was saved of it. */
export interface Damage {
  /** Where the damaged file is now. */
  readonly movedTo: string;
  /** Why it was set aside. */
  readonly reason: string;
  readonly recovered: number;
  /** The records that could not be read; undefined when not even their number could. */
  readonly lost: readonly Gone[] | undefined;
}

/** What became of a batch. */
export interface Appended {
  /** One for each record that was dealt with, in their order; none for one whose identity was seen before. */
  readonly seqs: readonly (number | undefined)[];
  /** What had to go for them. */
  readonly dropped: readonly Gone[];
}

/**
 * Records on their way between threads. Bodies lie one after the other in one buffer, which is handed over uncopied; the rest
 * is a text, which costs a third of what it costs to have each record copied as an object.
 */
export interface Packed {
  /** JSON of `Row[]`. */
  readonly rows: string;
  readonly bundles: readonly Bundle[];
  readonly bodies: Uint8Array<ArrayBuffer>;
}

/** A record without its body: `bundle` is a place among the bundles. */
type Row = Readonly<Record<string, unknown>> & { readonly length: number; readonly bundle?: number };

/** What a record counts for beside its body and identity: its row, and its entry in the index. */
const RECORD_BYTES = 100;

export function bytesOf({ body, identity = '' }: Pick<NewRecord, 'body' | 'identity'>): number {
  return body.length + Buffer.byteLength(identity) + RECORD_BYTES;
}

type Whole = Omit<SpoolRecord, 'seq'> & { readonly seq?: number; readonly bundle?: Bundle | undefined };

export function pack(records: readonly Whole[]): Packed {
  const bodies = new Uint8Array(records.reduce((sum, { body }) => sum + body.length, 0));
  const bundles: Bundle[] = [];
  let offset = 0;
  const rows = records.map(({ seq, at, delivery, identity, bundle, body }) => {
    bodies.set(body, offset);
    offset += body.length;
    if (bundle !== undefined && bundle !== bundles.at(-1)) bundles.push(bundle);
    const place = bundle === undefined ? undefined : bundles.length - 1;
    return { seq, at, delivery, identity, bundle: place, length: body.length };
  });
  return { rows: JSON.stringify(rows), bundles, bodies };
}

/** What was packed: of the type of that. */
export function unpack<R extends NewRecord | SpoolRecord>({ rows, bundles, bodies }: Packed): R[] {
  let offset = 0;
  return (JSON.parse(rows) as Row[]).map(({ length, bundle, ...row }) => {
    const body = bodies.subarray(offset, (offset += length));
    return { ...row, ...(bundle !== undefined && { bundle: bundles[bundle] }), body } as unknown as R;
  });
}
