import { messageOfRecord, type Contents, type DeadLetterContents, type PlaceContents } from './contents.js';
import { placeName, type Place } from './places.js';

/** What became of the records that one place should have. sent = stored + rejected + dead-lettered + lost. */
export interface Row {
  readonly sink: string;
  /** Of the messages that the broker has acknowledged. */
  readonly sent: number;
  readonly stored: number;
  /** Refused without faults as well: dead letters, as they should be. */
  readonly rejected: number;
  /** Dead letters in place of records. */
  readonly deadLettered: number;
  /** Records beyond the one that there should be. */
  readonly duplicates: number;
  /** Whether none were promised. */
  readonly once: boolean;
  readonly lost: number;
  /** Records of this run that were not there without faults. */
  readonly unexpected: number;
  /** Records of other messages, or without an id. */
  readonly others: number;
}

export interface Account {
  readonly rows: readonly Row[];
  /** The ids of the messages of which something is lost. */
  readonly lost: ReadonlySet<string>;
  /** Published without an answer: may have arrived or not. */
  readonly unanswered: { readonly messages: number; readonly stored: number };
  /** Messages that the flow stores nowhere, without faults as well. */
  readonly nowhere: number;
}

export interface AccountInput {
  readonly places: readonly Place[];
  readonly acknowledged: ReadonlyMap<string, number>;
  readonly unanswered: ReadonlySet<string>;
  /** After the same messages without a fault: what there should be. */
  readonly calm: Contents;
  readonly found: Contents;
}

const REJECTED = 'rejected before a sink';
const NOTHING: PlaceContents = { records: new Map(), byIdentity: false, others: 0 };

export function accountOf({ places, acknowledged, unanswered, calm, found }: AccountInput): Account {
  const lost = new Set<string>();
  const sinks = new Set(places.flatMap(({ nodes }) => nodes));
  const isSent = (record: string): boolean => acknowledged.has(messageOfRecord(record));
  /** Whether there is a letter of a record by one of these nodes, or by one before all sinks. */
  const isDead = (record: string, nodes: readonly string[]): boolean =>
    [record, messageOfRecord(record)].some((id) =>
      [...(found.deadLetters.records.get(id)?.keys() ?? [])].some((node) => nodes.includes(node) || !sinks.has(node)),
    );

  /** The letters that there should be of some nodes. */
  const rejections = (ofNode: (node: string) => boolean): { sent: number; rejected: number; lost: number } => {
    const sum = { sent: 0, rejected: 0, lost: 0 };
    for (const [record, nodes] of calm.deadLetters.records) {
      if (!isSent(record) || ![...nodes.keys()].some(ofNode)) continue;
      sum.sent++;
      if (found.deadLetters.records.has(record)) sum.rejected++;
      else {
        sum.lost++;
        lost.add(messageOfRecord(record));
      }
    }
    return sum;
  };

  const rows = places.map((place, index): Row => {
    const should = calm.places[index] ?? NOTHING;
    const is = found.places[index] ?? NOTHING;
    const sum = rejections((node) => place.nodes.includes(node));
    let [sent, stored, deadLettered] = [sum.sent, 0, 0];
    for (const record of should.records.keys()) {
      if (!isSent(record)) continue;
      sent++;
      if (is.records.has(record)) stored++;
      else if (isDead(record, place.nodes)) deadLettered++;
      else {
        sum.lost++;
        lost.add(messageOfRecord(record));
      }
    }
    return {
      sink: placeName(place),
      sent,
      stored,
      rejected: sum.rejected,
      deadLettered,
      duplicates: surplus(is.records, should.records),
      once: place.kind === 'documents' && should.byIdentity,
      lost: sum.lost,
      unexpected: [...is.records.keys()].filter((record) => !should.records.has(record)).length,
      others: is.others,
    };
  });
  const before = rejections((node) => !sinks.has(node));
  rows.push({
    sink: REJECTED,
    ...before,
    stored: 0,
    deadLettered: 0,
    duplicates: surplus(letters(found.deadLetters), letters(calm.deadLetters)),
    once: false,
    unexpected: 0,
    others: found.deadLetters.others,
  });
  return {
    rows,
    lost,
    unanswered: { messages: unanswered.size, stored: count(unanswered, messagesIn(found)) },
    nowhere: acknowledged.size - count(new Set(acknowledged.keys()), messagesIn(calm)),
  };
}

/** How many records there are beyond the number that there should be. */
function surplus(is: ReadonlyMap<string, number>, should: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const [record, times] of is) sum += Math.max(0, times - (should.get(record) ?? 1));
  return sum;
}

function letters({ records }: DeadLetterContents): Map<string, number> {
  return new Map([...records].map(([id, nodes]) => [id, [...nodes.values()].reduce((sum, times) => sum + times, 0)]));
}

function messagesIn({ places, deadLetters }: Contents): Set<string> {
  const all = [...places.map(({ records }) => records), deadLetters.records];
  return new Set(all.flatMap((records) => [...records.keys()].map(messageOfRecord)));
}

function count(ids: ReadonlySet<string>, among: ReadonlySet<string>): number {
  return [...ids].filter((id) => among.has(id)).length;
}
