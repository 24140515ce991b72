/**
 * What the checks of an ingest cost beside the parse alone (bytes → text → value), on ordinary messages:
 * `npx tsx bench/json-checks.ts`. Runs are interleaved; of each the fastest counts, as what disturbs only slows down.
 */
import { decoder } from '../nodes/mqtt-ingest/decode.js';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const RUNS = 200;
const MESSAGES = 2_000;
const ROUNDS = 2;

const uuid = (n: number): string => `0b8a3c0e-7f55-4c1d-9a44-${String(n).padStart(12, '0')}`;
const kinds: Record<string, (n: number) => object> = {
  "the article's": (n) => ({ uuid: uuid(n), value: 20 + (n % 10) }),
  reading: (n) => ({
    uuid: uuid(n),
    value: n / 7 + 1,
    seq: n + 1,
    ts: new Date(1.79e12 + n).toISOString(),
    id: `${uuid(n)}:${n}`,
  }),
  'twenty readings': (n) => ({
    device: { uuid: uuid(n), site: 'north', tags: ['a', 'b', 'c'] },
    readings: Array.from({ length: 20 }, (_item, index) => ({ t: 1.79e12 + index, value: (n + index) / 7 + 1 })),
  }),
};
const decoders: Record<string, (payload: Buffer) => unknown> = {
  'parse alone': (payload) => JSON.parse(payload.toString('utf8')) as unknown,
  'UTF-8 checked': (payload) => JSON.parse(utf8.decode(payload)) as unknown,
  checked: decoder({ decode: 'json', strict: false }),
  strict: decoder({ decode: 'json', strict: true }),
};

function nanoseconds(decode: (payload: Buffer) => unknown, payloads: readonly Buffer[]): number {
  const start = process.hrtime.bigint();
  for (let round = 0; round < ROUNDS; round++) for (const payload of payloads) decode(payload);
  return Number(process.hrtime.bigint() - start) / ROUNDS / payloads.length;
}

for (const [kind, make] of Object.entries(kinds)) {
  const payloads = Array.from({ length: MESSAGES }, (_item, n) => Buffer.from(JSON.stringify(make(n))));
  const fastest = new Map<string, number>();
  for (let run = 0; run < RUNS; run++) {
    for (const [name, decode] of Object.entries(decoders)) {
      fastest.set(name, Math.min(fastest.get(name) ?? Infinity, nanoseconds(decode, payloads)));
    }
  }
  const plain = fastest.get('parse alone') ?? NaN;
  const cells = [...fastest].map(([name, ns]) => `${name} ${ns.toFixed(0)} ns (${(ns / plain).toFixed(2)} ×)`);
  process.stdout.write(`${kind}, ${payloads[0]?.length ?? 0} bytes: ${cells.join(', ')}\n`);
}
