import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import type { NodeModule } from '../nodes/adapter/define-node.js';
import { readNodeFolders } from '../nodes/editor/node-folder.js';
import { checkFile, type CheckOptions } from '../runtime/check/check-file.js';
import { sentenceOf } from '../runtime/check/finding.js';
import { knownTypes } from '../runtime/check/known-types.js';
import { at, AWS_KEY, broker, CASES, filter, ingest, KEY, node, PLANTED, tab, WRONG_SETTINGS } from './check-cases.js';
import { useNodeRed } from './node-red.js';
import { runSluice, temporaryFolder } from './sluice.js';

const ROOT = join(import.meta.dirname, '..');
describe('sluice check', function () {
  this.timeout(60_000);
  const folder = temporaryFolder();
  after(() => folder.remove());
  const write = (name: string, flow: unknown, inFolder = folder.path): string => {
    const file = join(inFolder, `${name}.json`);
    writeFileSync(file, typeof flow === 'string' ? flow : JSON.stringify(flow));
    return file;
  };

  describe('a finding', () => {
    let stdout = '';
    const cases = join(folder.path, 'cases');

    before(async () => {
      mkdirSync(cases);
      for (const [name, { flow }] of Object.entries(CASES)) write(name, flow, cases);
      const result = await runSluice(['check', cases]);
      ({ stdout } = result);
      assert.equal(result.code, 1, result.stderr);
      assert.equal(result.stderr, '');
    });

    for (const [name, { said }] of Object.entries(CASES)) {
      it(`${name}: ${said.length === 0 ? 'nothing' : said.length}`, () => {
        const file = join(cases, `${name}.json`);
        const lines = stdout.split('\n').filter((line) => line.startsWith(`${file}:`));
        assert.deepEqual(
          lines,
          said.map((sentence) => file + sentence),
        );
      });
    }

    it('holds no secret', () => {
      assert.doesNotMatch(stdout, new RegExp(`${PLANTED}|${AWS_KEY}`));
    });

    it('is counted at the end', () => {
      const said = Object.values(CASES).flatMap((one) => one.said);
      const warnings = said.filter((sentence) => sentence.startsWith(': warning: ')).length;
      assert.match(
        stdout,
        new RegExp(
          `^${Object.keys(CASES).length} flows, \\d+ nodes: ${said.length - warnings} findings, ${warnings} warnings$`,
          'm',
        ),
      );
    });
  });

  it('has wrong settings for every node type', async () => {
    const types = (await readNodeFolders(join(ROOT, 'nodes'))).map(({ type }) => type);
    assert.deepEqual(Object.keys(WRONG_SETTINGS).sort(), types.sort());
  });

  describe('at deploy', () => {
    const red = useNodeRed();
    const folder = temporaryFolder();
    before(() => red.settings({ userDir: folder.path })); // which the s3-sink asks for first
    after(() => {
      red.settings({});
      folder.remove();
    });

    for (const [type, { flow, said }] of Object.entries(WRONG_SETTINGS)) {
      it(`the same is said of ${type}`, async () => {
        const types = Object.keys(WRONG_SETTINGS);
        const entries = await Promise.all(
          types.map(async (one) => (await import(`../nodes/${one}/${one}.ts`)) as { default: NodeModule }),
        );
        await red.load(
          entries.map(({ default: entry }) => entry),
          flow,
        );
        const logged = red.logged();
        assert.ok(
          said.some((sentence) => logged.some((line) => line.startsWith(`${type} "x" ${sentence}`))),
          logged.join('\n'),
        );
      });
    }
  });

  it('says nothing of the flows and examples, and what they need', async () => {
    const { code, stdout } = await runSluice(['check', join(ROOT, 'flows'), join(ROOT, 'examples')]);
    const files = ['flows', 'examples'].flatMap((name) => readdirSync(join(ROOT, name)));
    assert.match(
      stdout,
      new RegExp(
        `^needs MONGODB_URI \\(not set\\), MQTT_URL \\(not set\\), S3_URL \\(not set\\)\n${files.length} flows, \\d+ nodes: no findings\n$`,
      ),
    );
    assert.equal(code, 0);
  });

  describe('variables', () => {
    const flow = [
      {
        ...tab,
        env: [
          { name: 'GROUP', value: 'a b/c', type: 'str' },
          { name: 'QOS', value: '1', type: 'num' },
        ],
      },
      { ...broker, url: '${MQTT_URL}', ca: '/etc/ca.pem' },
      { ...ingest, topics: ['${TOPIC}'], group: '${GROUP}', qos: '${QOS}', maxInFlight: '${WINDOW}' },
      { id: 'o', type: 'inject', name: 'inject', ...at, topic: '${TOPIC}', payload: 'not ${THIS}' },
    ];

    it('that are not set: what they stand for is not judged', async () => {
      const { code, stdout } = await runSluice([
        'check',
        write('variables', flow.with(2, { ...flow[2], group: 'g' } as never)),
      ]);
      assert.equal(
        stdout,
        'needs MQTT_URL (not set), TOPIC (not set), WINDOW (not set)\n1 flow, 3 nodes: no findings\n',
      );
      assert.equal(code, 0);
    });

    it('that are set, in the environment or by the tab: what they hold is judged, and not repeated', async () => {
      const file = write('variables', flow);
      const { code, stdout } = await runSluice(['check', file], {
        MQTT_URL: 'mqtt://localhost',
        TOPIC: `${PLANTED}/#/b`,
        WINDOW: '0',
      });
      assert.equal(
        stdout,
        [
          `${file}: ${node(broker)} /ca: expected a URL with mqtts:// or wss:// to use it for, got one without TLS`,
          `${file}: ${node(ingest)} /topics/0: expected # only as the whole last level [MQTT-4.7.1-1], got another value of \${TOPIC}`,
          `${file}: ${node(ingest)} /group: expected a group without /, + or # [MQTT-4.8.2-2], got another value of \${GROUP}`,
          `${file}: ${node(ingest)} /maxInFlight: expected a number >= 1, got another value of \${WINDOW}`,
          'needs MQTT_URL, TOPIC, WINDOW',
          '1 flow, 3 nodes: 4 findings',
          '',
        ].join('\n'),
      );
      assert.equal(code, 1);
    });

    it('--env: one that is not set is a finding', async () => {
      const file = write('variables', [tab, { ...broker, url: '${MQTT_URL}' }, ingest]);
      const { code, stdout } = await runSluice(['check', '--env', file]);
      assert.equal(
        stdout.split('\n', 1)[0],
        `${file}: ${node(broker)} /url: expected the environment variable MQTT_URL to be set, got nothing`,
      );
      assert.equal(code, 1);
      assert.equal((await runSluice(['check', '--env', file], { MQTT_URL: 'mqtt://localhost' })).code, 0);
    });
  });

  it('--json has all of it on one line', async () => {
    const file = write('json', [tab, { ...broker, url: '${MQTT_URL}' }, { ...ingest, qos: 3 }]);
    const { code, stdout } = await runSluice(['check', '--json', file]);
    assert.deepEqual(JSON.parse(stdout), {
      flows: 1,
      nodes: 2,
      findings: [
        {
          file,
          node: { id: 'i', type: 'mqtt-ingest', name: 'ingest' },
          path: '/qos',
          message: 'expected one of 0, 1, 2, got number 3',
          level: 'error',
        },
      ],
      variables: [
        {
          name: 'MQTT_URL',
          isSet: false,
          file,
          node: { id: 'b', type: 'sluice-mqtt-broker', name: 'broker' },
          path: '/url',
        },
      ],
    });
    assert.equal(stdout.trim().split('\n').length, 1);
    assert.equal(code, 1);
  });

  it('reads standard input', async () => {
    const { code, stdout } = await runSluice(['check', '-'], {}, JSON.stringify([tab, broker, ingest]));
    assert.equal(stdout, '1 flow, 2 nodes: no findings\n');
    assert.equal(code, 0);
  });

  it('says what cannot be read', async () => {
    const empty = join(folder.path, 'empty');
    mkdirSync(empty);
    const missing = join(folder.path, 'missing.json');
    const { code, stdout } = await runSluice(['check', missing, empty]);
    assert.equal(
      stdout,
      `${missing}: expected a file or a folder that can be read, got no file of this name\n` +
        `${empty}: expected *.json in the folder, got none\n2 flows, 0 nodes: 2 findings\n`,
    );
    assert.equal(code, 1);
  });

  it('--types and --user-dir name the types of other nodes', async () => {
    const file = write('others', [
      tab,
      { id: 'c1', type: 'contrib in', name: 'c1', ...at, wires: [['c2'], []] },
      { id: 'c2', type: 'contrib out', name: 'c2', ...at, token: PLANTED, wires: [['c1']] },
    ]);
    assert.equal((await runSluice(['check', '--types', 'contrib in, contrib out', file])).code, 0);
    const module = join(folder.path, 'user/node_modules/@contrib/nodes');
    mkdirSync(module, { recursive: true });
    writeFileSync(join(module, 'package.json'), JSON.stringify({ 'node-red': { nodes: { contrib: 'contrib.js' } } }));
    writeFileSync(
      join(module, 'contrib.html'),
      `<script>RED.nodes.registerType('contrib in', { category: 'input', inputs: 0, outputs: 1 });
       RED.nodes.registerType("contrib out", { category: 'output', credentials: { token: { type: 'password' } }, inputs: 1, outputs: 0 })</script>`,
    );
    const { stdout } = await runSluice(['check', '--user-dir', join(folder.path, 'user'), file]);
    assert.equal(
      stdout,
      [
        `${file}: node "c2" (contrib out) /token: expected a credential to be kept outside of the flow, got it here`,
        `${file}: node "c2" (contrib out) /wires/0: expected wires of 0 outputs, got some of one more`,
        `${file}: node "c2" (contrib out) /wires/0/0: expected a node with an input, got "c1" (contrib in)`,
        '1 flow, 2 nodes: 3 findings',
        '',
      ].join('\n'),
    );
    const wrong = await runSluice(['check', '--user-dir', join(folder.path, 'nowhere'), file]);
    assert.equal(wrong.stderr, 'sluice: --user-dir: expected a folder with node_modules, got no file of this name\n');
    assert.equal(wrong.code, 1);
  });

  it("reads schema files from the flow's folder, or that of --project", async () => {
    const project = join(folder.path, 'project');
    mkdirSync(project);
    writeFileSync(join(project, 'schema.json'), '{"type":"object"}');
    const file = write('schema-file', [
      tab,
      { id: 'ms', type: 'message-schema', name: 'ms', version: '1', source: 'file', file: 'schema.json' },
      filter('ms'),
    ]);
    const { code, stdout } = await runSluice(['check', file]);
    assert.match(
      stdout,
      /: node "ms" \(message-schema\) \/file: expected a file in \S+ that can be read, got "schema.json": ENOENT/,
    );
    assert.equal(code, 1);
    assert.equal((await runSluice(['check', '--project', project, file])).code, 0);
  });

  it('has the exit codes and the help of the other commands', async () => {
    const wrong = await runSluice(['check', '--no-such-option', 'x']);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /unknown option '--no-such-option'/);
    assert.equal((await runSluice(['check'])).code, 2);
    const help = await runSluice(['check', '--help']);
    assert.equal(help.code, 0);
    assert.match(help.stdout, /Usage: sluice check \[options\] <flow\.\.\.>/);
  });

  it('ends whatever a flow is changed to, and tells no secret of it', async () => {
    const options: CheckOptions = {
      types: await knownTypes([], undefined),
      environment: {},
      needsEnvironment: true,
      project: undefined,
    };
    const flows = ['flows', 'examples'].flatMap((name) =>
      readdirSync(join(ROOT, name)).map((file) => readFileSync(join(ROOT, name, file), 'utf8')),
    );
    const secret = fc.constantFrom(
      `mongodb://me:${PLANTED}@host/db`,
      `amqp://:x@${PLANTED}@host`,
      `text ${KEY}`,
      KEY.replaceAll('\n', ' '),
      AWS_KEY,
      `https://h/?a=b&token=${PLANTED}`,
    );
    const value = fc.oneof(
      secret,
      fc.json({ maxDepth: 3 }).map((text) => JSON.parse(text) as unknown),
      fc.constantFrom(
        '',
        '${A}',
        'x${A}',
        '__proto__',
        'constructor',
        null,
        -1,
        [],
        {},
        { toString: 1 },
        '{',
        '[',
        '(',
      ),
    );
    const mutation = fc.record({ place: fc.nat(), key: fc.constantFrom('__proto__', 'type', 'wires', 'env'), value });
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...flows),
        fc.array(mutation, { minLength: 1, maxLength: 5 }),
        async (flow, mutations) => {
          const changed = mutations.reduce<unknown>(mutated, JSON.parse(flow));
          const { findings, variables } = await checkFile(write('changed', changed), options);
          const said = findings.map(sentenceOf).join('\n');
          assert.doesNotMatch(said + JSON.stringify({ findings, variables }), new RegExp(`${PLANTED}|${AWS_KEY}`));
          for (const sentence of said.split('\n')) assert.match(sentence, /^$|: expected .*, got /);
        },
      ),
      { numRuns: 500 },
    );
  });
});

/** Puts a value, or a property, in some place of a flow. */
function mutated(flow: unknown, { place, key, value }: { place: number; key: string; value: unknown }): unknown {
  const places: (() => void)[] = [];
  const walk = (holder: object): void => {
    // A copy: put into itself, a value that is shared would have no end.
    const own = structuredClone(value);
    const define = (name: string): void =>
      void Object.defineProperty(holder, name, { value: own, enumerable: true, configurable: true, writable: true });
    for (const [name, inner] of Object.entries(holder)) {
      places.push(() => define(name));
      if (typeof inner === 'object' && inner !== null) walk(inner as object);
    }
    if (!Array.isArray(holder)) places.push(() => define(key));
  };
  if (typeof flow === 'object' && flow !== null) walk(flow);
  places[place % places.length]?.();
  return flow;
}
