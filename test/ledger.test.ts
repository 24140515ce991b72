import assert from 'node:assert/strict';
import { connectAsync } from 'mqtt';
import type { LedgerReport } from '../nodes/adapter/ledger-report.js';
import { runSluice, RunningSluice, temporaryFolder, until } from './sluice.js';

describe('the ledger of a running instance', function () {
  this.timeout(60_000);
  const folder = temporaryFolder();
  let sluice: RunningSluice;
  before(async () => {
    sluice = await RunningSluice.start(folder.path, [], { SLUICE_METRICS_TOKEN: 'reader' });
  });
  after(async () => {
    await sluice.stop();
    folder.remove();
  });

  const ledger = async (): Promise<LedgerReport> =>
    (await (await fetch(`${sluice.ready.editor}sluice/ledger`)).json()) as LedgerReport;
  const metrics = async (): Promise<string> => (await fetch(`${sluice.ready.editor}sluice/metrics`)).text();

  it('adds up: what is stored, what is wrong and what is filtered, each with its reason', async () => {
    const client = await connectAsync(sluice.ready.mqtt);
    const publish = (payload: object | string): Promise<unknown> =>
      client.publishAsync('device/ledger', typeof payload === 'string' ? payload : JSON.stringify(payload), { qos: 1 });
    await publish('{');
    await publish({ uuid: 'ledger', value: 1e6 });
    await client.endAsync();
    const report = await until(ledger, ({ deadLettered }) => deadLettered === 2);
    const { received, spooledAtStart, inFlight, spooled, deadLettered, dropped, stored, filtered, abandoned } = report;
    assert.equal(
      received + spooledAtStart,
      inFlight + spooled + deadLettered + dropped + stored + filtered + abandoned,
    );
    assert.equal(report.gap, 0);
    assert.equal(report.balanced, true);
    assert.equal(report.flows.length, 1);
  });

  it('is a table that says BALANCED, and one line of JSON', async () => {
    const shown = await runSluice(['ledger', '--user-dir', folder.path]);
    assert.equal(shown.code, 0, shown.stderr);
    assert.match(shown.stdout, /^deliveries of +received .* dead letters .* gap\nPipeline +[\d,]+ /m);
    assert.match(shown.stdout, /^BALANCED$/m);
    assert.match(shown.stdout, /^mqtt-ingest +mqtt-ingest +0 +received [\d,]+/m);
    const json = await runSluice(['ledger', '--json', '--user-dir', folder.path]);
    const report = JSON.parse(json.stdout) as LedgerReport;
    assert.equal(report.balanced, true);
    assert.ok(report.received > 0);
  });

  it('says that no instance runs', async () => {
    const other = temporaryFolder();
    const { code, stderr } = await runSluice(['ledger', '--user-dir', other.path]);
    assert.equal(code, 1);
    assert.match(stderr, /^sluice: expected a running instance on .*, got none: start it with sluice start\n$/);
    other.remove();
  });

  it('is there for Prometheus, with what each node has counted', async () => {
    const text = await metrics();
    const { received } = await ledger();
    const line = /^sluice_deliveries_received_total\{flow="\w+",flow_name="Pipeline",instance_name="[^"]+"\} (\d+)$/m;
    const counted = Number(line.exec(text)?.[1]);
    assert.ok(counted > 0 && counted <= received, text);
    assert.match(text, /^sluice_deliveries_ended_total\{.*outcome="dead-lettered".*\} 2$/m);
    assert.match(text, /^sluice_ledger_gap\{.*\} 0$/m);
    assert.match(text, /^sluice_node_events_total\{.*node_type="mqtt-ingest".*event="received".*\} \d+$/m);
    assert.match(text, /^sluice_ingest_window_full_seconds_total\{.*node_type="mqtt-ingest".*\} [\d.e-]+$/m);
    assert.match(text, /^sluice_ingest_age_seconds_total\{.*node_type="mqtt-ingest".*\} [\d.e-]+$/m);
    assert.match(text, /^sluice_ingest_aged_messages_total\{.*node_type="mqtt-ingest".*\} [1-9]\d*$/m);
    assert.match(text, /^sluice_ingest_recent_age_max_seconds\{.*node_type="mqtt-ingest".*\} [\d.e-]+$/m);
    assert.match(text, /^process_resident_memory_bytes/m);
  });

  it('keeps what nodes have counted when they are deployed again', async () => {
    const url = `${sluice.ready.editor}flows`;
    const { rev, flows } = (await (await fetch(url, { headers: { 'Node-RED-API-Version': 'v2' } })).json()) as {
      rev: string;
      flows: object[];
    };
    const before = await ledger();
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'Node-RED-API-Version': 'v2',
        'Node-RED-Deployment-Type': 'full',
      },
      body: JSON.stringify({ rev, flows }),
    });
    assert.equal(response.status, 200);
    const after = await until(ledger, ({ received }) => received > before.received);
    assert.equal(after.balanced, true);
    const events = /^sluice_node_events_total\{.*node_type="mqtt-ingest".*event="received".*\} (\d+)$/m;
    const counted = Number(events.exec(await metrics())?.[1]);
    assert.ok(counted >= before.received, `${counted} of ${before.received}`);
  });
});
