import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import type { DeadLetter, ReplayReport } from '../nodes/adapter/instance.js';
import { documents, runSluice, RunningSluice, temporaryFolder, until } from './sluice.js';

const REPLAYED = '0b8a3c0e-7f55-4c1d-9a44-000000000001';
const OTHER = '0b8a3c0e-7f55-4c1d-9a44-000000000002';
const MENDED = '0b8a3c0e-7f55-4c1d-9a44-000000000003';
const reading = (uuid: string, value: number): string => JSON.stringify({ uuid, value });

describe('dead letters of a running instance', function () {
  this.timeout(60_000);
  const folder = temporaryFolder();
  let sluice: RunningSluice;
  before(async () => {
    sluice = await RunningSluice.start(folder.path);
    const client = await connectAsync(sluice.ready.mqtt, { protocolVersion: 4 });
    for (const payload of ['{', reading(REPLAYED, 1_000), reading(OTHER, 1_001)]) {
      await client.publishAsync('device/replay', payload, { qos: 1 });
    }
    await client.endAsync();
    await until(
      () => letters(),
      ({ length }) => length === 3,
    );
  });
  after(async () => {
    await sluice.stop();
    folder.remove();
  });

  const run = (...parameters: string[]) => runSluice(['dead-letter', ...parameters, '--user-dir', folder.path]);
  const letters = async (...parameters: string[]): Promise<DeadLetter[]> => {
    const { stdout } = await run('list', '--json', ...parameters);
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as DeadLetter);
  };
  const payload = ({ message }: DeadLetter): unknown => message.payload?.data;

  it('are listed, the newest first, by reason, node and time', async () => {
    const all = await letters();
    assert.deepEqual(all.map(({ reason }) => reason.code).slice(0, 2), [all[0]?.reason.code, all[0]?.reason.code]);
    assert.equal(all[2]?.reason.code, 'invalid-json');
    assert.equal((await letters('--reason', 'invalid-json')).length, 1);
    assert.equal((await letters('--node', 'schema-filter')).length, 2);
    assert.equal((await letters('--schema', 'reading')).length, 2);
    assert.equal((await letters('--count', '1')).length, 1);
    const [newest, ...others] = all;
    assert.deepEqual(
      (await letters('--until', newest?.at ?? '')).map(({ id }) => id),
      others.filter(({ at }) => at < (newest?.at ?? '')).map(({ id }) => id),
    );
    assert.equal((await letters('--since', '2100-01-01T00:00:00Z')).length, 0);
    const { stdout } = await run('list');
    assert.match(stdout, /^id +at +reason +node +topic +payload\n/);
  });

  it('are shown whole', async () => {
    const [letter] = await letters('--reason', 'invalid-json');
    const { stdout } = await run('show', letter?.id ?? '');
    assert.match(stdout, /^reason +invalid-json: expected JSON/m);
    assert.match(stdout, /^node +mqtt-ingest "mqtt-ingest" \(/m);
    assert.match(stdout, /^topic +device\/replay$/m);
    const { code, stderr } = await run('show', 'none');
    assert.equal(code, 1);
    assert.equal(stderr, 'sluice: expected a dead letter, got none with the id none\n');
  });

  it('go back into the node that failed, edited, and are marked when all is settled', async () => {
    const letter = (await letters()).find((one) => String(payload(one)).includes(REPLAYED));
    const file = join(folder.path, 'payload.json');
    writeFileSync(file, reading(REPLAYED, 10));
    const { code, stdout } = await run('replay', letter?.id ?? '', '--payload', file);
    assert.deepEqual([code, stdout], [0, '1 of 1 replayed\n']);
    const stored = await documents(sluice.ready.mongodb, 'devices');
    assert.ok(stored.some((document) => JSON.stringify(document).includes(REPLAYED)));
    assert.equal((await letters()).length, 2, 'it is no more among those that are to be looked at');
    assert.equal((await letters('--replayed')).length, 3);
  });

  it('are dead letters again when they fail again', async () => {
    const { stdout } = await run('replay', '--node', 'schema-filter', '--json');
    const { replayed } = JSON.parse(stdout) as ReplayReport;
    assert.equal(replayed.length, 1);
    const left = await letters('--node', 'schema-filter');
    assert.equal(left.length, 1);
    assert.notEqual(left[0]?.id, replayed[0]);
  });

  it('of an ingest are decoded again', async () => {
    const [letter] = await letters('--reason', 'invalid-json');
    const { stdout } = await runSluice(
      ['dead-letter', 'replay', letter?.id ?? '', '--payload', '-', '--user-dir', folder.path],
      {},
      reading(MENDED, 11),
    );
    assert.equal(stdout, '1 of 1 replayed\n');
    const stored = await documents(sluice.ready.mongodb, 'devices');
    assert.ok(JSON.stringify(stored).includes(MENDED));
  });

  it('stand in the ledger, which adds up', async () => {
    const { stdout } = await runSluice(['ledger', '--json', '--user-dir', folder.path]);
    const { balanced, gap } = JSON.parse(stdout) as { balanced: boolean; gap: number };
    assert.deepEqual({ balanced, gap }, { balanced: true, gap: 0 });
  });

  it('are refused with a sentence where they cannot be replayed', async () => {
    const { code, stdout } = await run('replay', '00000000-0000-7000-8000-000000000000');
    assert.equal(code, 1);
    assert.match(stdout, /not replayed: expected a dead letter, got none with the id 0000/);
    const many = await run('replay', 'a', 'b', '--payload', 'x');
    assert.match(many.stderr, /--payload: expected one id, got 2/);
    const answer = await fetch(`${sluice.ready.editor}sluice/dead-letters/replay`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{"ids":"a"}',
    });
    assert.equal(answer.status, 400);
    assert.deepEqual(await answer.json(), { message: 'ids: expected an array of ids, got "a"' });
    const form = await fetch(`${sluice.ready.editor}sluice/dead-letters/replay`, { method: 'POST', body: 'ids=a' });
    assert.equal(form.status, 415);
  });
});
