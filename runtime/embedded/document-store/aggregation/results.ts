/** Runs documents through stages, giving other connections their turn. */
import { setImmediate as breathe } from 'node:timers/promises';
import type { Row } from '../storage/collection.js';
import type { Sink, Stage } from './stages.js';

/** After so long without a pause a scan makes one: inserts of other connections wait for it. */
const TURN_MS = 10;

/** The bytes of the documents that come out, as they come out. */
export async function* results(
  source: Iterable<readonly Row[]>,
  stages: readonly Stage[],
): AsyncGenerator<Buffer[], void> {
  let out: Buffer[] = [];
  const last: Sink = {
    accept: (item) => out.push(item.raw) > 0,
    end: () => undefined,
  };
  const first = stages.reduceRight((next, stage) => stage(next), last);
  let turn = performance.now();
  for (const rows of source) {
    const more = rows.every(({ item }) => first.accept(item));
    if (out.length > 0) yield out;
    out = [];
    if (!more) break;
    if (performance.now() - turn > TURN_MS) {
      await breathe();
      turn = performance.now();
    }
  }
  first.end();
  if (out.length > 0) yield out;
}
