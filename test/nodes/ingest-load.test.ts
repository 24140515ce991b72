/** What an ingest tells of the load that it has, for whoever decides how many instances there are. */
import assert from 'node:assert/strict';
import { Load } from '../../nodes/lib/load.js';
import type { Red } from '../../nodes/adapter/red.js';
import type { LoadReport } from '../../nodes/lib/load.js';
import { brokerNode, ingestNode, useMqttFlows } from '../mqtt.js';
import { startMosquitto } from '../servers/mosquitto.js';
import { describeWithServer } from '../servers/server.js';
import { until } from '../sluice.js';

describe('the load of an ingest', () => {
  const flows = useMqttFlows();
  const held: (() => void)[] = [];
  const holder = (red: Red): void =>
    red.nodes.registerType('holder', function (definition) {
      red.nodes.createNode(this, definition);
      this.on('input', (_message, _send, done) => void held.push(done));
    });
  const keeper = { id: 'keeper', type: 'holder', z: 'tab', x: 1, y: 1, wires: [] };
  const letGo = (): void => {
    for (const done of held.splice(0)) done();
  };
  afterEach(letGo);

  const load = (): LoadReport => {
    const report = flows
      .instance()
      .report()
      .nodes.find(({ id }) => id === 'ingest')?.load;
    assert.deepEqual(
      flows
        .instance()
        .totals()
        .find(({ id }) => id === 'ingest')?.load?.aged,
      report?.aged,
    );
    if (report === undefined) throw new Error('expected a load, got none');
    return report;
  };

  describeWithServer('on mosquitto', startMosquitto, (server) => {
    const flow = (settings: object = {}) => [
      brokerNode(server().url, { clientId: 'loaded', cleanStart: true }),
      ingestNode({ maxInFlight: 3, wires: [['keeper'], []], ...settings }),
      keeper,
    ];

    it('counts the time in which its window is full, over deploys', async () => {
      await flows.load(flow(), {}, [holder]);
      await flows.shows('ingest', 'ok');
      const client = await flows.client(server().url);
      const before = load().fullSeconds;
      await Promise.all([1, 2].map((n) => client.publish('device/1', String(n))));
      await until(
        () => held.length,
        (open) => open === 2,
      );
      assert.equal(load().fullSeconds, before);
      await client.publish('device/1', '3');
      const full = await until(
        () => load().fullSeconds,
        (seconds) => seconds > before,
      );
      await until(
        () => held.length,
        (open) => open === 3,
      );
      letGo();
      await until(
        () => flows.instance().ledger().inFlight,
        (open) => open === 0,
      );
      const after = load().fullSeconds;
      assert.ok(after >= full);
      await flows.redeploy(flow({ name: 'again' }));
      await flows.shows('ingest', 'ok');
      assert.equal(load().fullSeconds, after);
    });

    for (const [what, settings, publish] of [
      ['its payload', {}, (ts: string) => ({ payload: JSON.stringify({ ts }), userProperties: { other: '-' } })],
      [
        'a user property',
        { eventTime: 'userProperties.made' },
        (made: string) => ({ payload: '1', userProperties: { made } }),
      ],
    ] as const) {
      it(`says how old messages are at receipt that say it in ${what}`, async () => {
        await flows.load(flow({ maxInFlight: 100, ...settings }), {}, [holder]);
        await flows.shows('ingest', 'ok');
        const client = await flows.client(server().url);
        const { aged, ageSeconds } = load();
        const at = [60_000, -60_000, 400 * 86_400_000].map((age) => new Date(Date.now() - age).toISOString());
        for (const [index, one] of [...at, 'no time'].entries()) {
          const { payload, userProperties } = publish(one);
          await client.publish('device/1', payload, { properties: { userProperties } });
          await until(
            () => held.length,
            (open) => open > index,
          );
          const now = Date.now();
          await until(Date.now, (time) => time > now + 1); // one a millisecond is looked at
        }
        const report = load();
        assert.equal(report.aged - aged, 2); // the third is no age
        const sum = report.ageSeconds - ageSeconds;
        assert.ok(sum >= 60 && sum < 90, String(sum));
        assert.ok((report.recentAge?.max ?? 0) >= 60);
      });
    }
  });

  it('is of what came lately, by a clock of the test', () => {
    let now = 0;
    const one = new Load(() => now);
    for (const [at, age] of [
      [1_000, 5_000],
      [12_000, 1_000],
    ] as const) {
      now = at;
      one.age(age);
    }
    assert.deepEqual(one.report().recentAge, { mean: 3, max: 5 });
    now = 21_000;
    assert.deepEqual(one.report().recentAge, { mean: 1, max: 1 });
    now = 45_000;
    assert.deepEqual(one.report(), { fullSeconds: 0, aged: 2, ageSeconds: 6 });
    one.full(true);
    now = 46_000;
    one.full(true);
    assert.equal(one.report().fullSeconds, 1);
    now = 47_000;
    one.full(false);
    now = 60_000;
    assert.equal(one.report().fullSeconds, 2);
  });
});
