import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { batchClock } from '../../nodes/adapter/batch-clock.js';
import type { Damage, Gone, NewRecord, SpooledDelivery, SpoolRecord } from '../../nodes/lib/spool/record.js';
import { Spool, type SpoolOptions } from '../../nodes/lib/spool/spool.js';
import { describeWithServer } from '../servers/server.js';
import { startSmallDisk } from '../servers/small-disk.js';
import { temporaryFolder } from '../sluice.js';

const ALL = { records: 10_000, bytes: 1e9 };
const PAGE_BYTES = 4_096;

describe('Spool', () => {
  let folder: ReturnType<typeof temporaryFolder>;
  let file: string;
  let opened: Spool[];
  let dropped: Gone[];
  let damages: Damage[];

  beforeEach(() => {
    folder = temporaryFolder();
    file = join(folder.path, 'spool', 'node.sqlite');
    [opened, dropped, damages] = [[], [], []];
  });
  afterEach(async () => {
    await Promise.all(opened.map((spool) => spool.close()));
    folder.remove();
  });

  async function open(options: Partial<SpoolOptions> = {}): Promise<Spool> {
    const spool = await Spool.open({
      file,
      maxBytes: 1e9,
      whenFull: 'block',
      rememberIdentities: 0,
      clock: batchClock(),
      dropped: (records) => dropped.push(...records),
      damaged: (damage) => damages.push(damage),
      ...options,
    });
    opened.push(spool);
    return spool;
  }

  function record(number: number, bytes = 10): NewRecord {
    return { at: number, delivery: { number, source: 'in' }, body: Buffer.alloc(bytes, number % 256) };
  }

  async function fill(spool: Spool, count: number, bytes?: number): Promise<void> {
    await Promise.all(Array.from({ length: count }, (_item, index) => spool.append(record(index + 1, bytes))));
  }

  const numbers = (records: readonly Gone[]): (number | undefined)[] => records.map(({ delivery }) => delivery?.number);
  const files = (): string[] => readdirSync(dirname(file)).sort();

  it('gives back in order what was put in, as it was, also after it was closed', async () => {
    const first = await open();
    await first.append({ at: 5, delivery: { number: 7, source: 'in' }, identity: 'é:1', body: Buffer.from([0, 255]) });
    await first.append({ at: 6, body: new Uint8Array() });
    await fill(first, 1_200);
    await first.close();

    const spool = await open();
    assert.deepEqual(spool.counts, { records: 1_202, bytes: 2 + 4 + 1_200 * 10 + 1_202 * 100, oldestAt: 5 });
    const [one, two, ...rest] = await spool.read(0, ALL);
    assert.deepEqual(
      { ...one, body: [...(one?.body ?? [])] },
      { seq: 1, at: 5, delivery: { number: 7, source: 'in' }, identity: 'é:1', body: [0, 255] },
    );
    assert.deepEqual({ ...two, body: two?.body.length }, { seq: 2, at: 6, body: 0 });
    assert.deepEqual(
      numbers(rest),
      Array.from({ length: 1_200 }, (_item, index) => index + 1),
    );
  });

  it('reads pages of so many records or bytes, and single records by their number', async () => {
    const spool = await open();
    await fill(spool, 10, 1_000);
    assert.deepEqual(numbers(await spool.read(0, { records: 4, bytes: 1e9 })), [1, 2, 3, 4]);
    assert.deepEqual(numbers(await spool.read(4, { records: 100, bytes: 2_500 })), [5, 6]);
    assert.deepEqual(numbers(await spool.read(6, { records: 100, bytes: 1 })), [7], 'a larger one alone');
    await spool.remove([2, 3, 99]);
    assert.deepEqual(numbers(await spool.get([9, 3, 1])), [9, 1]);
    assert.deepEqual(numbers(await spool.read(1, ALL)), [4, 5, 6, 7, 8, 9, 10]);
    assert.equal(spool.counts.records, 8);
  });

  it('tells the deliveries that its records belong to, each once', async () => {
    const spool = await open();
    for (const [number, source] of [
      [7, 'b'],
      [7, 'a'],
      [9, 'a'],
      [7, 'a'],
    ] as const) {
      await spool.append({ ...record(1), delivery: { number, source } });
    }
    await spool.append({ at: 0, body: new Uint8Array() });
    const deliveries: SpooledDelivery[] = [];
    for await (const delivery of spool.deliveries()) deliveries.push(delivery);
    assert.deepEqual(deliveries, [
      { source: 'a', number: 7, records: 2 },
      { source: 'a', number: 9, records: 1 },
      { source: 'b', number: 7, records: 1 },
    ]);
    const [last] = await spool.read(4, ALL);
    assert.deepEqual(last?.delivery, undefined);
  });

  it('refuses what there is no room for, until there is', async () => {
    const spool = await open({ maxBytes: 1_000 });
    await fill(spool, 5, 100);
    await assert.rejects(spool.append(record(6, 1)), {
      name: 'UnavailableError',
      code: 'spool-full',
      message: 'expected room for a record in the spool, got 1000 of 1000 bytes in use',
    });
    await spool.remove([1]);
    assert.equal(await spool.append(record(6, 1)), 6);
    await spool.remove([2, 3, 4, 5, 6]);
    assert.equal(await spool.append(record(7, 5_000)), 7, 'one that is larger than all, where there is no other');
    assert.deepEqual(numbers(await spool.read(0, ALL)), [7]);
  });

  it('drops the oldest for the newest, says which, and spares what was read', async () => {
    const spool = await open({ maxBytes: 1_000, whenFull: 'drop-oldest' });
    await fill(spool, 7, 100);
    assert.deepEqual(
      dropped,
      [1, 2].map((seq) => ({ seq, delivery: { number: seq, source: 'in' } })),
    );
    assert.deepEqual(numbers(await spool.read(0, { records: 2, bytes: 1e9 })), [3, 4]);
    await spool.append(record(8, 100));
    assert.deepEqual(numbers(await spool.read(0, ALL)), [3, 4, 6, 7, 8]);
    await assert.rejects(spool.append(record(9)), { code: 'spool-full' });
    assert.deepEqual(numbers(dropped), [1, 2, 5]);
  });

  it('does not take an identity twice, as far as it remembers', async () => {
    const first = await open({ rememberIdentities: 2 });
    const put = (spool: Spool, identity: string) => spool.append({ ...record(1), identity });
    const seq = await put(first, 'a');
    await first.remove([seq ?? 0]);
    assert.equal(await put(first, 'a'), undefined);
    await first.close();
    const spool = await open({ rememberIdentities: 2 });
    assert.equal(await put(spool, 'a'), undefined, 'over a restart too');
    assert.notEqual(await spool.append(record(1)), undefined, 'one without an identity is nobody’s second');
    for (const identity of ['b', 'c', 'd']) assert.notEqual(await put(spool, identity), undefined);
    assert.equal(await put(spool, 'c'), undefined, 'two are remembered');
    assert.notEqual(await put(spool, 'a'), undefined, 'three others came since');
    await spool.close();
    const third = await open({ rememberIdentities: 2 });
    for (const identity of ['c', 'd', 'a']) assert.equal(await put(third, identity), undefined, identity);
  });

  it('knows long identities apart, over a restart too', async () => {
    const long = (end: string): NewRecord => ({ ...record(1), identity: 'x'.repeat(1_000) + end });
    const first = await open({ rememberIdentities: 10 });
    assert.deepEqual(await Promise.all([first.append(long('1')), first.append(long('2'))]), [1, 2]);
    await first.close();
    const spool = await open({ rememberIdentities: 10 });
    assert.deepEqual(await Promise.all([spool.append(long('2')), spool.append(long('3'))]), [undefined, 3]);
  });

  it('forgets the identity of what it had no room for, or dropped: it was not taken', async () => {
    const spool = await open({ maxBytes: 1_000, rememberIdentities: 100 });
    const put = (identity: string) => spool.append({ ...record(1, 700), identity });
    await put('a');
    await assert.rejects(put('b'), { code: 'spool-full' });
    assert.equal(await put('a'), undefined, 'what is there needs no room');
    await spool.remove([1]);
    assert.notEqual(await put('b'), undefined);
    await spool.close();
    const dropping = await open({ maxBytes: 1_000, rememberIdentities: 100, whenFull: 'drop-oldest' });
    const again = (identity: string) => dropping.append({ ...record(1, 700), identity });
    await again('c');
    assert.equal(dropped.length, 1);
    assert.notEqual(await again('b'), undefined, 'it was dropped for c');
  });

  it('knows nothing of a transaction that has failed', async () => {
    const spool = await open({ rememberIdentities: 100 });
    const put = (at: number, identity: string) => spool.append({ ...record(1), at, identity });
    const together = await Promise.allSettled([put(1, 'a'), put(1.5, 'b')]);
    assert.deepEqual(
      together.map(({ status }) => status),
      ['rejected', 'rejected'],
      'no column takes half a millisecond',
    );
    assert.deepEqual(await Promise.all([put(1, 'a'), put(2, 'b')]), [3, 4], 'they are taken');
  });

  describe('with bundles', () => {
    const inBundle = (id: number, number: number, about = `about ${id}`): NewRecord => ({
      ...record(number, 100),
      identity: `i${number}`,
      bundle: { id, about },
    });
    const put = (spool: Spool, ...records: NewRecord[]) => Promise.all(records.map((one) => spool.append(one)));

    it('reads and removes what belongs together, whatever came in between, also after it was closed', async () => {
      const first = await open();
      await put(first, inBundle(7, 1), record(2), inBundle(3, 3), inBundle(7, 4, 'another word'), inBundle(3, 5));
      await first.close();
      const spool = await open();
      assert.deepEqual(await spool.bundles(), [3, 7]);
      assert.equal(await spool.takeBundle(7), 'about 7');
      const [one] = await spool.readBundle(7, 0, { records: 1, bytes: 1e9 });
      assert.deepEqual(numbers([one ?? { seq: 0 }, ...(await spool.readBundle(7, one?.seq ?? 0, ALL))]), [1, 4]);
      await spool.changeBundle(7, 'changed');
      assert.equal(await spool.takeBundle(7), 'changed');
      await spool.removeBundle(7);
      assert.deepEqual([await spool.bundles(), await spool.takeBundle(7)], [[3], undefined]);
      assert.deepEqual(numbers(await spool.read(0, ALL)), [2, 3, 5]);
      await spool.removeBundle(3);
      await spool.remove([2]);
      assert.deepEqual(spool.counts, { records: 0, bytes: 0, oldestAt: undefined });
    });

    it('drops nothing of a bundle that was taken, nor after a restart', async () => {
      const options = { maxBytes: 1_200, whenFull: 'drop-oldest' } as const;
      const first = await open(options);
      await put(first, inBundle(1, 1), inBundle(2, 2), inBundle(1, 3));
      await first.takeBundle(1);
      await first.close();
      const spool = await open(options);
      await put(spool, inBundle(2, 4), inBundle(2, 5), inBundle(2, 6));
      assert.deepEqual(numbers(dropped), [2]);
      assert.deepEqual(numbers(await spool.readBundle(1, 0, ALL)), [1, 3]);
      assert.deepEqual(numbers(await spool.readBundle(2, 0, ALL)), [4, 5, 6]);
    });

    it('remembers the identities of what was removed, or forgets them where that is asked for', async () => {
      const spool = await open({ rememberIdentities: 100 });
      await put(spool, inBundle(1, 1), inBundle(2, 2));
      await spool.removeBundle(1);
      await spool.removeBundle(2, 'identities');
      const [first, second] = await put(spool, inBundle(3, 1), inBundle(3, 2));
      assert.deepEqual([first, second === undefined], [undefined, false]);
    });

    it('recovers them with what can be read of a damaged file', async () => {
      const first = await open();
      for (let n = 1; n <= 1_000; n += 100) {
        await put(first, ...Array.from({ length: 100 }, (_item, index) => inBundle(1 + (index % 2), n + index)));
      }
      await first.takeBundle(2);
      await first.close();
      const handle = openSync(file, 'r+');
      writeSync(handle, Buffer.alloc(3 * PAGE_BYTES, 0xa7), 0, 3 * PAGE_BYTES, 20 * PAGE_BYTES);
      closeSync(handle);
      const spool = await open({ maxBytes: 1_000, whenFull: 'drop-oldest' });
      const records = await spool.read(0, ALL);
      assert.ok(records.length > 500 && records.length < 1_000, `${records.length} records`);
      const parts = await Promise.all([1, 2].map((id) => spool.readBundle(id, 0, ALL)));
      assert.deepEqual(numbers(parts.flat()).map(Number).sort(), numbers(records).map(Number).sort());
      assert.deepEqual(await Promise.all([1, 2].map((id) => spool.takeBundle(id))), ['about 1', 'about 2']);
      assert.equal(damages.length, 1);
    });
  });

  it('gives its room back to the disk once it is empty', async () => {
    const spool = await open();
    await fill(spool, 1_000, 20_000);
    assert.ok(statSync(file).size + statSync(`${file}-wal`).size > 20_000_000);
    await spool.remove((await spool.read(0, ALL)).map(({ seq }) => seq));
    assert.ok(statSync(file).size < 1_000_000, `${statSync(file).size} bytes`);
    assert.ok(((await spool.append(record(1))) ?? 0) > 1_000, 'the order goes on');
  });

  it('says when there can be no file', async () => {
    writeFileSync(join(folder.path, 'spool'), '');
    await assert.rejects(open(), { code: 'spool-disk', message: /^expected a folder for the spool .*, got: / });
  });

  it('is for one process at a time', async () => {
    const other = fillingProcess();
    await other.line();
    await assert.rejects(open(), {
      code: 'spool-in-use',
      message: `expected a spool that no other process has open, got ${file}, which one has`,
    });
    await other.kill();
    await open();
  });

  it('holds after kill -9 all that was said to be durable, and nothing twice', async () => {
    const other = fillingProcess();
    let durable = 0;
    while (durable < 3_000) durable = Number(await other.line()) || 0;
    durable = Math.max(durable, ...(await other.kill()));
    const records = await (await open()).read(0, { records: 1e6, bytes: 1e9 });
    assert.ok(records.length >= durable, `${records.length} of ${durable}`);
    assert.deepEqual(
      records.map(({ seq, at }) => [seq, at]),
      records.map((_record, index) => [index + 1, index + 1]),
    );
    assert.deepEqual(damages, []);
  });

  it('holds all whole commits where the last write was torn', async () => {
    const other = fillingProcess();
    while ((Number(await other.line()) || 0) < 200);
    await other.kill();
    const log = `${file}-wal`;
    truncateSync(log, statSync(log).size - PAGE_BYTES / 2);
    const records = await (await open()).read(0, { records: 1e6, bytes: 1e9 });
    assert.ok(records.length >= 150 && records.length % 50 === 0, `${records.length} records`);
    assert.deepEqual(
      numbers(records),
      records.map((_record, index) => index + 1),
    );
  });

  describe('of a damaged file', () => {
    beforeEach(async () => {
      const spool = await open();
      await fill(spool, 2_000, 500);
      await spool.close();
    });

    const overwrite = (page: number, bytes: Uint8Array): void => {
      const handle = openSync(file, 'r+');
      writeSync(handle, bytes, 0, bytes.length, page * PAGE_BYTES);
      closeSync(handle);
    };
    const garbage = (pages: number): Buffer => Buffer.alloc(pages * PAGE_BYTES, 0xa7);

    function check(records: readonly SpoolRecord[]): Damage {
      const [damage, ...others] = damages;
      assert.deepEqual(others, []);
      assert.ok(damage !== undefined);
      assert.match(basename(damage.movedTo), /^node\.sqlite\.damaged-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ$/);
      assert.deepEqual(
        files().filter((name) => !/-(wal|shm)$/.test(name)),
        ['node.sqlite', basename(damage.movedTo)],
      );
      assert.equal(damage.recovered, records.length);
      for (const { body, at } of records) assert.deepEqual(Buffer.from(body), Buffer.alloc(500, at % 256));
      const sorted = records.map(({ seq }) => seq).sort((a, b) => a - b);
      assert.deepEqual(
        records.map(({ seq }) => seq),
        sorted,
      );
      return damage;
    }

    it('recovers what can be read, and says what cannot', async () => {
      overwrite(100, garbage(20));
      const spool = await open();
      const records = await spool.read(0, ALL);
      const { lost, reason } = check(records);
      assert.ok(records.length > 1_500 && records.length < 2_000, `${records.length} records`);
      assert.match(reason, /malformed/);
      assert.equal((lost?.length ?? 0) + records.length, 2_000);
      assert.deepEqual(
        [...numbers(lost ?? []), ...numbers(records)].map(Number).sort((a, b) => a - b),
        Array.from({ length: 2_000 }, (_item, index) => index + 1),
      );
      assert.equal(await spool.append(record(2_001, 500)), 2_001, 'and goes on');
    });

    it('finds a record whose bytes have changed', async () => {
      const bytes = readFileSync(file);
      const at = bytes.indexOf(Buffer.alloc(500, 77));
      overwrite(at / PAGE_BYTES, Buffer.from([1]));
      const spool = await open();
      const records = await spool.read(0, ALL);
      const { lost, reason } = check(records);
      assert.equal(records.length, 1_999);
      assert.match(reason, /^the checksum of record \d+ does not fit$/);
      assert.equal(lost?.length, 1);
    });

    it('recovers all where only the first page is gone', async () => {
      overwrite(0, garbage(1));
      const spool = await open();
      const records = await spool.read(0, ALL);
      assert.deepEqual(check(records).lost, []);
      assert.equal(records.length, 2_000);
    });

    it('sets aside what is no spool at all', async () => {
      writeFileSync(file, 'a text of somebody else’s, long enough to be one'.repeat(1_000));
      const spool = await open();
      assert.equal(check(await spool.read(0, ALL)).lost, undefined);
      assert.equal(await spool.append(record(1)), 1);
    });
  });

  describeWithServer('on a full disk', startSmallDisk, (disk) => {
    it('says so, keeps what it has, and goes on when there is room', async () => {
      file = join(disk().directory, 'node.sqlite');
      const spool = await open();
      let durable = 0;
      const refused = async (): Promise<unknown> => {
        for (;;) {
          try {
            await spool.append(record(durable + 1, 20_000));
            durable++;
          } catch (error) {
            return error;
          }
        }
      };
      const error = await refused();
      assert.deepEqual(
        { ...(error as object), message: (error as Error).message },
        {
          name: 'UnavailableError',
          code: 'spool-disk-full',
          message: `expected room on the disk for the spool ${file}, got none`,
        },
      );
      assert.ok(durable > 5);
      await spool.remove([1, 2]);
      assert.equal(spool.counts.records, durable - 2, 'what drains needs no room');
      await disk().change('size=16m');
      await spool.append(record(durable + 1, 20_000));
      assert.deepEqual(
        numbers(await spool.read(0, ALL)),
        Array.from({ length: durable - 1 }, (_item, index) => index + 3),
      );
      await spool.close();
    });
  });

  function fillingProcess() {
    const child = spawn(process.execPath, ['--import=tsx', join(import.meta.dirname, '../spool-process.ts'), file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines: string[] = [];
    const reader = createInterface({ input: child.stdout });
    reader.on('line', (line) => lines.push(line));
    const closed = once(reader, 'close');
    return {
      async line(): Promise<string> {
        while (lines.length === 0) await once(reader, 'line');
        return lines.shift() ?? '';
      },
      /** @returns what it has said since */
      async kill(): Promise<number[]> {
        child.kill('SIGKILL');
        await closed;
        return lines.splice(0).map((line) => Number.parseInt(line, 10) || 0);
      },
    };
  }
});
