import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { batchClock } from '../../nodes/adapter/batch-clock.js';
import { Spool } from '../../nodes/lib/spool/spool.js';
import type { Part } from './part.js';

const BATCH = 500;
const body = new Uint8Array(200).fill(7);

/** Records in and out again, in transactions of 500; the baseline is SQLite with one table. */
export async function spoolPart(): Promise<Part> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  const sql = new DatabaseSync(join(folder, 'bare.sqlite'));
  sql.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE record (seq INTEGER PRIMARY KEY, body BLOB)',
  );
  const insert = sql.prepare('INSERT INTO record (body) VALUES (?)');
  const spool = await Spool.open({
    file: join(folder, 'spool.sqlite'),
    maxBytes: 1e10,
    whenFull: 'block',
    rememberIdentities: 0,
    clock: batchClock(),
    dropped: () => undefined,
    damaged: () => undefined,
  });
  let number = 0;
  return {
    name: 'spool',
    times: 50_000,
    ways: {
      'SQLite alone': (times) => {
        for (let done = 0; done < times; done += BATCH) {
          sql.exec('BEGIN');
          for (let index = 0; index < BATCH; index++) insert.run(body);
          sql.exec('COMMIT');
        }
        sql.prepare('SELECT * FROM record').all();
        sql.exec('DELETE FROM record');
      },
      spool: async (times) => {
        for (let done = 0; done < times; done += BATCH) {
          const records = Array.from({ length: BATCH }, () => {
            const delivery = { number: ++number, source: 'bench' };
            return spool.append({ at: Date.now(), delivery, body });
          });
          await Promise.all(records);
        }
        for (;;) {
          const page = await spool.read(0, { records: BATCH, bytes: 4_194_304 });
          if (page.length === 0) return;
          await spool.remove(page.map(({ seq }) => seq));
        }
      },
    },
    end: async () => {
      await spool.close();
      sql.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
