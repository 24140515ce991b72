import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { connectAsync } from 'mqtt';
import { documents, objectLines, runSluice, RunningSluice, Sluice, temporaryFolder, until } from './sluice.js';

const GATEWAY = join(import.meta.dirname, '../flows/article-gateway.json');

describe('sluice start', function () {
  this.timeout(120_000);
  let folder: ReturnType<typeof temporaryFolder>;
  const running: Sluice[] = [];

  async function start(parameters: string[] = [], environment: Record<string, string> = {}): Promise<RunningSluice> {
    const sluice = await RunningSluice.start(folder.path, parameters, environment);
    running.push(sluice);
    return sluice;
  }

  beforeEach(() => {
    folder = temporaryFolder();
  });
  afterEach(async () => {
    for (const sluice of running.splice(0)) await sluice.stop('SIGKILL');
    folder.remove();
  });

  it('runs the default flow: after a stop documents, lines of objects and the devices agree', async () => {
    const sluice = await start();
    const { ready } = sluice;
    assert.deepEqual(Object.keys(ready), ['ready', 'editor', 'mqtt', 'mongodb', 'objects', 'userDir', 'pid']);
    assert.equal(ready.pid, sluice.child.pid);
    await until(
      () => sluice.count('device-simulator', 'sent'),
      (sent) => sent >= 40,
    );
    const wrong = (await sluice.nodes()).filter(({ level }) => level === 'error' || level === 'warning');
    assert.deepEqual(wrong, []);
    const { code, stdout } = await sluice.stop('SIGTERM');
    assert.equal(code, 0);
    assert.equal(stdout.trim().split('\n').length, 1, 'nothing but the ready line on stdout');

    const again = await start();
    const ids = (await documents(again.ready.mongodb, 'devices')).map(({ _id }) => String(_id));
    const stopped = sluiceRun(ids[0] ?? '');
    const first = ids.filter((id) => sluiceRun(id) === stopped);
    const lines = objectLines(ready.objects)
      .map(({ identity }) => String(identity))
      .filter((id) => sluiceRun(id) === stopped);
    assert.ok(first.length >= 40);
    assert.deepEqual(first.sort(), lines.sort());
    for (const uuid of new Set(first.map((id) => id.split(':')[0]))) {
      const sequence = first.filter((id) => id.startsWith(`${uuid ?? ''}:`)).map((id) => Number(id.split(':')[2]));
      assert.deepEqual(
        sequence.sort((a, b) => a - b),
        sequence.map((_seq, index) => index + 1),
        'no device has a gap',
      );
    }
    const alerts = await documents(again.ready.mongodb, 'alerts');
    assert.ok(alerts.length > 0 && alerts.every(({ value }) => (value as number) > 28));
  });

  it('goes on after kill -9: its children end, the store opens, documents grow', async () => {
    const sluice = await start();
    await until(
      () => sluice.count('mongo-sink', 'stored'),
      (stored) => stored >= 10,
    );
    const before = (await documents(sluice.ready.mongodb, 'devices')).length;
    await sluice.stop('SIGKILL');
    const again = await start();
    const after = await until(
      () => documents(again.ready.mongodb, 'devices'),
      (all) => all.length > before + 6,
    );
    assert.ok(after.length > before);
  });

  it('starts the instance and the store again when they are killed, and documents go on growing', async () => {
    const sluice = await start();
    await until(
      () => sluice.count('mongo-sink', 'stored'),
      (stored) => stored >= 5,
    );
    for (const name of ['instance-process.js', 'sluice.js store']) {
      const [pid] = sluice.children().find(([, command]) => command.includes(name)) ?? [0];
      const before = (await documents(sluice.ready.mongodb, 'devices')).length;
      process.kill(pid, 'SIGKILL');
      await until(
        () => documents(sluice.ready.mongodb, 'devices').catch(() => []),
        (all) => all.length > before + 10,
        60_000,
      );
      assert.match(sluice.stderr, /ended \(SIGKILL\) and is started again/);
    }
    assert.equal((await sluice.stop()).code, 0);
  });

  it('drains in order when a service manager signals the whole group, and says no secret on a command line', async () => {
    const sluice = await start();
    await until(
      () => sluice.count('mongo-sink', 'stored'),
      (stored) => stored >= 20,
    );
    const { token } = JSON.parse(readFileSync(join(folder.path, 'instance.json'), 'utf8')) as { token: string };
    const secret = readFileSync(join(folder.path, 'credential-secret'), 'utf8').trim();
    const commands = sluice.children().map(([, command]) => command);
    assert.equal(commands.length, 2);
    assert.ok(
      commands.every((command) => !command.includes(token) && !command.includes(secret)),
      commands.join('\n'),
    );
    const silent = connect(Number(new URL(sluice.ready.mqtt).port), '127.0.0.1');
    await once(silent, 'connect');
    silent.on('error', () => undefined);
    const { code, stderr } = await sluice.stopGroup('SIGTERM');
    silent.destroy();
    assert.equal(code, 0, stderr);
    const again = await start();
    const stored = (await documents(again.ready.mongodb, 'devices')).map(({ _id }) => String(_id));
    const lines = objectLines(again.ready.objects).map(({ identity }) => String(identity));
    assert.deepEqual(
      lines.filter((identity) => !stored.includes(identity)),
      [],
    );
    assert.ok(lines.length >= 10);
  });

  it('starts on a folder whose last instance left its file to a pid that is another program now', async () => {
    await (await start()).stop();
    const stale = { pid: process.pid, name: 'x', token: 'x', url: 'http://127.0.0.1:1/' };
    writeFileSync(join(folder.path, 'instance.json'), JSON.stringify(stale));
    await start();
  });

  it('keeps what the user deployed', async () => {
    const sluice = await start();
    const flows = (await (await fetch(`${sluice.ready.editor}flows`)).json()) as {
      id: string;
      type: string;
      name?: string;
    }[];
    const changed = flows.map((node) => (node.type === 'fan-out-router' ? { ...node, name: 'renamed by me' } : node));
    const response = await fetch(`${sluice.ready.editor}flows`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(changed),
    });
    assert.equal(response.status, 204);
    await sluice.stop();
    const again = await start();
    assert.match(await (await fetch(`${again.ready.editor}flows`)).text(), /renamed by me/);
  });

  it('refuses a second instance on the folder, and names the first', async () => {
    const sluice = await start();
    const { code, stderr } = await runSluice(['start', '--user-dir', folder.path, '--port', '0']);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`process ${sluice.ready.pid} runs at ${sluice.ready.editor}`));
    assert.equal(statSync(join(folder.path, 'instance.json')).mode & 0o777, 0o600);
  });

  it('refuses another flow on a folder unless --replace, which keeps the old one', async () => {
    await (await start()).stop();
    const refused = await runSluice(['start', GATEWAY, '--user-dir', folder.path]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /was made from .*devices-to-mongo-and-s3\.json: add --replace/);
    const sluice = await start([GATEWAY, '--replace']);
    const types = (await sluice.nodes()).map(({ type }) => type);
    assert.deepEqual(types.sort(), ['mongo-connection', 'mongo-sink', 'mqtt-ingest', 'sluice-mqtt-broker']);
    assert.match(readFileSync(join(folder.path, 'flows.json.replaced'), 'utf8'), /device-simulator/);
  });

  it("runs the article's gateway: {date, deviceUID, value, gatewayID} in mongogw.devices", async () => {
    const sluice = await start([GATEWAY, '--name', 'mongogw-1']);
    const { hostname: host, port } = new URL(sluice.ready.mqtt);
    const simulate = await runSluice([
      'simulate',
      '-b',
      host,
      '-p',
      port,
      '-r',
      '100',
      '-q',
      '1',
      '-n',
      '2',
      '--count',
      '20',
      '--json',
    ]);
    assert.equal(simulate.code, 0, simulate.stderr);
    const uri = sluice.ready.mongodb.replace('/sluice', '/mongogw');
    const stored = await until(
      () => documents(uri, 'devices'),
      (all) => all.length === 20,
    );
    for (const { _id, ...document } of stored) {
      assert.deepEqual(Object.keys(document).sort(), ['date', 'deviceUID', 'gatewayID', 'value']);
      assert.ok(document['date'] instanceof Date);
      assert.equal(document['gatewayID'], 'mongogw-1');
      assert.ok(document['value'] >= 20 && document['value'] <= 30);
    }
  });

  it('says that a port is taken, and takes another', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    const port = String((other.address() as AddressInfo).port);
    try {
      for (const [option, what] of [
        ['--port', 'the editor'],
        ['--mqtt-port', 'the embedded broker'],
        ['--mongodb-port', 'the embedded document store'],
      ] as const) {
        const sluice = new Sluice([
          'start',
          '--json',
          '--user-dir',
          folder.path,
          '--port',
          '0',
          '--mqtt-port',
          '0',
          '--mongodb-port',
          '0',
          option,
          port,
        ]);
        running.push(sluice);
        assert.match(await sluice.line(), /"ready":true/);
        assert.match(
          sluice.stderr,
          new RegExp(`port ${port} for ${what} is taken by another program: using a free one`),
        );
        assert.equal((await sluice.stop()).code, 0);
      }
    } finally {
      other.close();
    }
  });

  it('tells by sluice status what each node does, and that no instance runs', async () => {
    const none = await runSluice(['status', '--user-dir', folder.path]);
    assert.equal(none.code, 1);
    assert.match(none.stderr, /^sluice: expected a running instance on .*, got none: start it with sluice start$/m);
    const { stdout: hash } = await runSluice(['password'], {}, 'correct horse\n');
    const sluice = await start(['--name', 'gateway 7'], { SLUICE_ADMIN_PASSWORD_HASH: hash.trim() });
    const { code, stdout } = await runSluice(['status', '--user-dir', folder.path]);
    assert.equal(code, 0);
    assert.match(stdout, new RegExp(`^gateway 7 at ${sluice.ready.editor}, since \\d{4}-.*Z$`, 'm'));
    assert.match(stdout, /^ok +fan-out-router +fan out +documents \d+, objects \d+, alerts \d+$/m);
    const json = await runSluice(['status', '--user-dir', folder.path, '--json']);
    assert.equal((JSON.parse(json.stdout) as { instance: string }).instance, 'gateway 7');
  });

  it('publishes alerts of the default flow', async () => {
    const sluice = await start();
    const client = await connectAsync(sluice.ready.mqtt);
    const alert = once(client as never, 'message') as Promise<[string, Buffer]>;
    await client.subscribeAsync('alert/#', { qos: 1 });
    await client.publishAsync('device/hot', '{"uuid":"0b8a3c0e-7f55-4c1d-9a44-3c1c52a6a111","value":29}', { qos: 1 });
    const [topic, payload] = await alert;
    const { uuid, value } = JSON.parse(payload.toString()) as { uuid: string; value: number };
    assert.equal(topic, `alert/${uuid}`);
    assert.ok(value > 28);
    await client.endAsync();
  });

  it('keeps what the default flow does not take as dead letters, which the admin endpoint shows', async () => {
    const sluice = await start();
    const client = await connectAsync(sluice.ready.mqtt);
    await client.publishAsync('device/broken', '{"uuid":', { qos: 1 });
    await client.publishAsync('device/hot', '{"uuid":"0b8a3c0e-7f55-4c1d-9a44-3c1c52a6a111","value":101}', { qos: 1 });
    await client.endAsync();
    const kept = await until(
      () => documents(sluice.ready.mongodb, 'dead_letters'),
      (letters) => letters.length === 2,
    );
    const reasons = kept.map(({ reason, message }) => [
      (message as { topic: string }).topic,
      (reason as { code: string }).code,
    ]);
    assert.deepEqual(reasons.sort(), [
      ['device/broken', 'invalid-json'],
      ['device/hot', 'schema-maximum'],
    ]);
    const nodes = await sluice.nodes();
    const queue = nodes.find(({ type }) => type === 'dead-letter-queue');
    const path = `${sluice.ready.editor}sluice/node/${queue?.id ?? ''}/letters`;
    const { letters } = (await (await fetch(path)).json()) as { letters: { flow: { revision: string } }[] };
    assert.equal(letters.length, 2);
    const flows = await fetch(`${sluice.ready.editor}flows`, { headers: { 'Node-RED-API-Version': 'v2' } });
    const { rev } = (await flows.json()) as { rev: string };
    assert.equal(letters[0]?.flow.revision, rev);
    assert.match(nodes.find(({ type }) => type === 'dead-letter')?.status ?? '', /^2 kept; last: /);
  });

  it('refuses to listen beyond loopback without a password, and says how to make one', async () => {
    const { code, stderr } = await runSluice(['start', '--host', '0.0.0.0', '--user-dir', folder.path]);
    assert.equal(code, 1);
    assert.match(stderr, /SLUICE_ADMIN_PASSWORD_HASH.*sluice password/);
  });

  it('asks for the password that `sluice password` made a hash of; the token of the instance file gets in too', async () => {
    const { stdout } = await runSluice(['password'], {}, 'correct horse\n');
    const sluice = await start([], { SLUICE_ADMIN_PASSWORD_HASH: stdout.trim() });
    const status = `${sluice.ready.editor}sluice/status`;
    assert.equal((await fetch(status)).status, 401);
    assert.equal((await fetch(`${sluice.ready.editor}sluice/node/any/letters`)).status, 401);
    const login = (password: string) =>
      fetch(`${sluice.ready.editor}auth/token`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({
          client_id: 'node-red-admin',
          grant_type: 'password',
          scope: '*',
          username: 'admin',
          password,
        }),
      });
    assert.equal((await login('wrong')).status, 403);
    const { access_token: token } = (await (await login('correct horse')).json()) as { access_token: string };
    assert.equal((await fetch(status, { headers: { Authorization: `Bearer ${token}` } })).status, 200);
    const file = JSON.parse(readFileSync(join(folder.path, 'instance.json'), 'utf8')) as { token: string };
    assert.equal((await fetch(status, { headers: { Authorization: `Bearer ${file.token}` } })).status, 200);
  });

  it('lets Prometheus read with the token that is set for it, and no more', async () => {
    const { stdout } = await runSluice(['password'], {}, 'correct horse\n');
    const sluice = await start([], { SLUICE_ADMIN_PASSWORD_HASH: stdout.trim(), SLUICE_METRICS_TOKEN: 'reader' });
    const ask = async (path: string, token: string, method = 'GET'): Promise<number> => {
      const headers = { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' };
      return (await fetch(`${sluice.ready.editor}${path}`, { method, headers })).status;
    };
    assert.equal(await ask('sluice/metrics', 'reader'), 200);
    assert.equal(await ask('sluice/metrics', 'another'), 401);
    assert.equal(await ask('flows', 'reader'), 401);
    assert.equal(await ask('sluice/dead-letters/replay', 'reader', 'POST'), 401);
  });

  it('asks for a login at the store when one is set, and shows the password nowhere', async () => {
    const sluice = await start([], { SLUICE_MONGODB_USER: 'mongogw', SLUICE_MONGODB_PASSWORD: 'p@ss:w/rd' });
    await until(
      () => sluice.count('mongo-sink', 'stored'),
      (stored) => stored > 3,
    );
    assert.doesNotMatch(JSON.stringify(sluice.ready), /p@ss|p%40ss|mongogw/);
    await assert.rejects(documents(sluice.ready.mongodb, 'devices'), /[Aa]uthenticat|auth/);
    const open = sluice.ready.mongodb.replace('mongodb://', 'mongodb://mongogw:p%40ss%3Aw%2Frd@');
    assert.ok((await documents(open, 'devices')).length > 0);
    const { stderr } = await sluice.stop();
    assert.doesNotMatch(stderr, /p@ss|p%40ss/);
    assert.doesNotMatch(readFileSync(join(folder.path, 'flows.json'), 'utf8'), /p@ss|p%40ss/);
  });

  it('takes its name from --name, SLUICE_NAME, the host', async () => {
    const named = async (parameters: string[], environment: Record<string, string>): Promise<string> => {
      const sluice = await start(parameters, environment);
      const { instance } = (await (await fetch(`${sluice.ready.editor}sluice/status`)).json()) as { instance: string };
      await sluice.stop();
      return instance;
    };
    assert.equal(await named(['--name', 'a'], { SLUICE_NAME: 'b' }), 'a');
    assert.equal(await named([], { SLUICE_NAME: 'b' }), 'b');
    assert.equal(await named([], {}), hostname());
  });

  it('opens the editor on flows that cannot start, and says why', async () => {
    const flow = join(folder.path, 'unknown.json');
    writeFileSync(
      flow,
      JSON.stringify([
        { id: 't', type: 'tab' },
        { id: 'n', type: 'no-such-node', z: 't', x: 1, y: 1, wires: [] },
      ]),
    );
    const sluice = await start([flow]);
    assert.match(sluice.stderr, /the flows were not started.*no-such-node/);
    assert.equal((await fetch(sluice.ready.editor)).status, 200);
  });

  it('says what is wrong with a flow file', async () => {
    const flow = join(folder.path, 'flow.json');
    for (const [text, sentence] of [
      ['{"a":1}', /expected flow\.json to be a JSON array/],
      [undefined, /expected a flow file, got .*none\.json/],
    ] as const) {
      if (text !== undefined) writeFileSync(flow, text);
      const { code, stderr } = await runSluice([
        'start',
        text === undefined ? join(folder.path, 'none.json') : flow,
        '--user-dir',
        folder.path,
      ]);
      assert.equal(code, 1);
      assert.match(stderr, sentence);
    }
  });

  it('has --help and --version everywhere, and exit code 2 for a wrong option', async () => {
    for (const command of [[], ['start'], ['store'], ['simulate'], ['verify'], ['password']]) {
      const help = await runSluice([...command, '--help']);
      assert.equal(help.code, 0);
      assert.match(help.stdout, /Usage: sluice/);
      const version = await runSluice([...command, '--version']);
      assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/);
    }
    const { code, stderr } = await runSluice(['start', '--port', 'many']);
    assert.equal(code, 2);
    assert.match(stderr, /expected a port from 0 to 65535, got "many"/);
  });
});

/** The run that an identity (`<uuid>:<run>:<seq>`) belongs to. */
function sluiceRun(identity: string): string | undefined {
  return identity.split(':')[1];
}
