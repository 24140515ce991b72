/** A process of its own that fills a spool until it is killed: `FILE`; it says each `seq` once that is durable. */
import { batchClock } from '../nodes/adapter/batch-clock.js';
import { Spool } from '../nodes/lib/spool/spool.js';

const [file = ''] = process.argv.slice(2);
const spool = await Spool.open({
  file,
  maxBytes: 1e9,
  whenFull: 'block',
  rememberIdentities: 0,
  clock: batchClock(),
  dropped: () => undefined,
  damaged: () => undefined,
});
process.stdout.write('open\n');
const body = Buffer.alloc(700, 'x');
for (let number = 1; number <= 1_000_000; number += 50) {
  const batch = Array.from({ length: 50 }, (_item, index) => number + index);
  await Promise.all(
    batch.map(async (n) => {
      const seq = await spool.append({ at: n, delivery: { number: n, source: 'in' }, body });
      process.stdout.write(`${String(seq)}\n`);
    }),
  );
}
