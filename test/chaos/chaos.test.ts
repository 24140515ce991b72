/** `sluice chaos`: real processes of broker, store and runtime, which are killed. */
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { mosquittoProgram } from '../servers/mosquitto.js';
import { describeWithServer } from '../servers/server.js';
import { runSluice, Sluice, temporaryFolder, until } from '../sluice.js';

const OURS = join(import.meta.dirname, '../../bench/chaos/sluice.json');

interface Report {
  readonly kept: boolean;
  readonly lost: number;
  readonly lostIds: readonly { readonly id: string; readonly sentAt: number }[];
  readonly acknowledged: number;
  readonly faults: readonly { readonly kind: string; readonly from: number; readonly to: number }[];
  readonly leftOut: readonly string[];
  readonly sinks: readonly Readonly<Record<string, number> & { readonly sink: string }>[];
  readonly ledger: { readonly balanced: boolean };
  readonly folder?: string;
}

/** Acknowledges on receipt, and has what it acknowledged in memory for two seconds. */
const SABOTAGED = [
  { id: 't', type: 'tab', label: 'Sabotaged' },
  {
    id: 'b',
    type: 'mqtt-broker',
    broker: 'x',
    port: '1',
    clientid: 'sabotaged',
    cleansession: false,
    protocolVersion: '4',
  },
  { id: 'i', type: 'mqtt in', z: 't', topic: 'device/#', qos: '1', datatype: 'json', broker: 'b', wires: [['d']] },
  { id: 'd', type: 'delay', z: 't', pauseType: 'delay', timeout: '2', timeoutUnits: 'seconds', wires: [['f']] },
  {
    id: 'f',
    type: 'file',
    z: 't',
    name: 'lines',
    filename: 'x',
    overwriteFile: 'false',
    appendNewline: true,
    wires: [[]],
  },
].map((node) => ({ ...node, ...('z' in node && { x: 100, y: 100 }) }));

describe('sluice chaos', function () {
  this.timeout(120_000);
  const folder = temporaryFolder();
  after(() => folder.remove());

  /** What is kept to look at is kept here. */
  const environment = { TMPDIR: folder.path, HIVEMQ_HOME: undefined };

  const file = (name: string, content: unknown): string => {
    const path = join(folder.path, name);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  };

  it('--help says what it does, its options, and what the exit code means', async () => {
    const { code, stdout } = await runSluice(['chaos', '--help']);
    assert.equal(code, 0);
    for (const option of ['--seed', '--count', '--qos', '--rate', '--broker', '--drain-within', '--json'])
      assert.ok(stdout.includes(option), option);
    assert.match(stdout, /kill -9 of the runtime/);
    assert.match(stdout, /Exit code 0: nothing is lost, and the ledger balances; 1: not so; 2: a wrong option/);
  });

  for (const [parameters, code, sentence] of [
    [[], 2, /missing required argument 'flow'/],
    [[OURS, '--qos', '3'], 2, /expected 0, 1 or 2, got "3"/],
    [[OURS, '--count', '0'], 2, /expected a whole number from 1, got "0"/],
    [[OURS, '--rate', '0'], 2, /expected a number above 0, got "0"/],
    [[OURS, '--broker', 'rabbit'], 2, /expected mosquitto, hivemq or the URL of a broker, got "rabbit"/],
    [['no-such.json'], 1, /expected a flow file, got no-such\.json, which cannot be read as JSON/],
    [
      [OURS, '--broker', 'mqtt://127.0.0.1:1'],
      1,
      /expected a broker at 127\.0\.0\.1:1, got nobody who takes a connection/,
    ],
    [
      [OURS, '--broker', 'hivemq'],
      1,
      /expected an MQTT broker: mosquitto on the PATH .*, HIVEMQ_HOME with the jars of .*; got none \(--broker hivemq\)/,
    ],
  ] as const) {
    it(`${parameters.map((text) => (text === OURS ? 'FLOW' : text)).join(' ') || 'nothing'} ends with ${code} and says what was expected`, async () => {
      const result = await runSluice(['chaos', ...parameters], environment);
      assert.equal(result.code, code);
      assert.match(result.stderr, sentence);
      assert.doesNotMatch(result.stderr, /^\s+at /m, 'no stack');
    });
  }

  it('says what a flow lacks: something that takes messages in, a broker of its devices', async () => {
    const none = await runSluice(['chaos', file('empty.json', [{ id: 't', type: 'tab' }])], environment);
    assert.match(none.stderr, /expected a flow with an mqtt-ingest or an mqtt in, got .*empty\.json, which has none/);
    const inside = [...SABOTAGED, { id: 's', type: 'device-simulator', z: 't', name: 'mine', wires: [['d']] }];
    const direct = await runSluice(['chaos', file('inside.json', inside)], environment);
    assert.equal(direct.code, 1);
    assert.match(direct.stderr, /expected device simulators that publish to a broker, .*, got mine, which has none/);
  });

  describeWithServer('on mosquitto', mosquitto, () => {
    it('kills the runtime in the middle of our flow and brings it back: nothing is lost, and the ledger balances', async () => {
      const { code, stdout, stderr } = await runSluice(['chaos', OURS, '--count', '500', '--json'], environment);
      const report = JSON.parse(stdout) as Report;
      assert.equal(stderr, '');
      assert.deepEqual([code, report.kept, report.lost, report.ledger.balanced], [0, true, 0, true], stdout);
      assert.deepEqual(
        report.faults.map(({ kind }) => kind),
        ['kill-runtime'],
      );
      assert.ok(report.acknowledged > 480 && report.acknowledged <= 500, 'but for duplicates, which have one id');
      const names = report.sinks.map(({ sink }) => sink);
      assert.deepEqual(names, ['documents devices', 'objects "objects by hour"', 'rejected before a sink']);
      for (const { sent, stored, rejected, deadLettered, lost } of report.sinks)
        assert.equal(sent, stored! + rejected! + deadLettered! + lost!);
      const [documents, objects, before] = report.sinks;
      assert.equal(documents?.['sent'], objects?.['sent']);
      assert.equal(documents!['sent']! + before!['sent']!, report.acknowledged, 'all of it goes somewhere');
      assert.equal(documents?.['duplicates'], 0);
      assert.equal(report.folder, undefined);
    });

    it('ends with 1 and the count of what a flow loses that acknowledges on receipt', async () => {
      const flow = file('sabotaged.json', SABOTAGED);
      const { code, stdout } = await runSluice(
        ['chaos', flow, '--count', '400', '--rate', '100', '--seed', '3'],
        environment,
      );
      assert.equal(code, 1);
      const [, lost = ''] = /\nlost: (\d+)\n$/.exec(stdout) ?? [];
      // At most what came in two seconds, and what the broker had not yet had an answer for.
      assert.ok(Number(lost) > 10 && Number(lost) < 300, stdout);
      assert.match(stdout, new RegExp(`\\nfile "lines" +\\d+ +\\d+ +0 +0 +\\d+ +${lost}\\n`));
      const [, kept = ''] = /\nkept in (\S+)\n/.exec(stdout) ?? [];
      assert.ok(existsSync(join(kept, 'chaos/user.log')), 'kept to look at');
      assert.match(stdout, /\nlost: \S+, acknowledged at [\d.]+ s, (during|[\d.]+ s before): kill -9 of the runtime\n/);
    });

    it('goes no further where what should be stored is not known', async () => {
      const few = ['--count', '50', '--drain-within', '0.5'];
      const { code, stdout, stderr } = await runSluice(['chaos', OURS, ...few], environment);
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(
        stderr,
        /expected a flow that has stored everything 0\.5 s after the last message, without faults, got/,
      );
    });

    it('ends all that it has started on Ctrl-C, and keeps nothing', async () => {
      const sluice = new Sluice(['chaos', OURS, '--count', '100000'], environment);
      const said = await until(
        () => sluice.stderr,
        (text) => text.includes('published'),
        60_000,
      );
      assert.match(said, /without faults/);
      const children = sluice.children();
      assert.ok(children.length >= 3, 'broker, store and runtime');
      const { code, stderr } = await sluice.stop('SIGINT');
      assert.equal(code, 130);
      assert.match(stderr, /interrupted: all is ended/);
      for (const [pid] of children) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
      const [, kept = ''] = / (\S*sluice-chaos-[^/\s]+)\//.exec(children.map(([, command]) => command).join(' ')) ?? [];
      assert.notEqual(kept, '');
      assert.equal(existsSync(kept), false);
    });
  });
});

/** The command starts it by itself. */
async function mosquitto(): Promise<{ stop: () => Promise<void> }> {
  await mosquittoProgram();
  return { stop: () => Promise.resolve() };
}
