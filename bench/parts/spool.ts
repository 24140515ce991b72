import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { batchClock } from '../../nodes/adapter/batch-clock.js';
import { Spool } from '../../nodes/lib/spool/spool.js';
import type { Part } from './part.js';

const BATCH = 500;
const body = new Uint8Array(200).fill(7);

/** Records in and out again, in transactions of 500, also where identities are remembered; the baseline is SQLite with one table. */
export async function spoolPart(): Promise<Part> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
  const sql = new DatabaseSync(join(folder, 'bare.sqlite'));
  sql.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; CREATE TABLE record (seq INTEGER PRIMARY KEY, body BLOB)',
  );
  const insert = sql.prepare('INSERT INTO record (body) VALUES (?)');
  const open = (name: string, rememberIdentities: number): Promise<Spool> =>
    Spool.open({
      file: join(folder, `${name}.sqlite`),
      maxBytes: 1e10,
      whenFull: 'block',
      rememberIdentities,
      clock: batchClock(),
      dropped: () => undefined,
      damaged: () => undefined,
    });
  const plain = await open('plain', 0);
  const knowing = await open('knowing', 100_000);
  let number = 0;
  async function inAndOut(spool: Spool, times: number): Promise<void> {
    for (let done = 0; done < times; done += BATCH) {
      const records = Array.from({ length: BATCH }, () => {
        const delivery = { number: ++number, source: 'bench' };
        return spool.append({ at: Date.now(), delivery, identity: `devices/{batch}\nbench:${number}`, body });
      });
      await Promise.all(records);
    }
    for (;;) {
      const page = await spool.read(0, { records: BATCH, bytes: 4_194_304 });
      if (page.length === 0) return;
      await spool.remove(page.map(({ seq }) => seq));
    }
  }
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
      spool: (times) => inAndOut(plain, times),
      'with identities': (times) => inAndOut(knowing, times),
    },
    end: async () => {
      await Promise.all([plain.close(), knowing.close()]);
      sql.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
