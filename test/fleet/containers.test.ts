import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { FolderLock } from '../../runtime/fleet/joining/folder-lock.js';
import { Authority } from '../servers/certificates.js';
import { startOwnMosquitto } from '../servers/mosquitto.js';
import { describeWithServer, freePort } from '../servers/server.js';
import { documents, runSluice, Sluice, temporaryFolder, until, type Result } from '../sluice.js';
import { environmentOf, healthCheck, imageCommand } from './container.js';
import { GATEWAY, numbered, publish, SECRET, TestFleet, TestWorker } from './fleet.js';

const HASH = '$2b$10$fGnO1/Tv1q2ZRAYcOYwyq.Si/hMps1Fgvfuq01lp0uixML8EdeNFS';

type Environment = Readonly<Record<string, string | undefined>>;

describeWithServer('containers', startOwnMosquitto, (broker) => {
  const folder = temporaryFolder();
  const workers: TestWorker[] = [];
  const secretFile = join(folder.path, 'secret');
  let store: Sluice;
  let fleet: TestFleet;
  let metrics: number;
  /** In place of what compose.yaml gives. */
  let given: Environment;

  before(async function () {
    this.timeout(60_000);
    store = new Sluice(['store', '--dir', join(folder.path, 'store'), '--port', '0', '--json']);
    const { mongodb } = JSON.parse(await store.line()) as { mongodb: string };
    writeFileSync(secretFile, `${SECRET}\n`);
    metrics = await freePort();
    given = {
      MQTT_URL: broker().url,
      MONGODB_URI: mongodb,
      S3_URL: undefined, // no server of these tests
      SLUICE_FLEET: 'press',
      SLUICE_FLEET_SECRET: undefined,
      SLUICE_FLEET_SECRET_FILE: secretFile,
    };
    const command = [...imageCommand(join(folder.path, 'editor')), '--metrics-port', String(metrics), GATEWAY];
    fleet = new TestFleet(command, {
      ...environmentOf('editor'),
      ...given,
      SLUICE_ADMIN_PASSWORD_HASH: HASH,
      SLUICE_METRICS_TOKEN: 'for Prometheus',
    });
    fleet.ready = JSON.parse(await fleet.line()) as TestFleet['ready'];
  });
  after(async () => {
    for (const worker of workers) await worker.stop('SIGKILL');
    await fleet.stop('SIGKILL');
    await store.stop('SIGKILL');
    folder.remove();
  });

  /** One more worker, as `docker compose up --scale worker=N` starts it. */
  async function start(own: Environment = {}, place = 'workers'): Promise<TestWorker> {
    const environment = { ...environmentOf('worker'), ...given, ...own };
    const worker = new TestWorker(imageCommand(join(folder.path, place)), environment);
    workers.push(worker);
    worker.ready = JSON.parse(await worker.line()) as TestWorker['ready'];
    await fleet.untilSlot(worker.ready.slot, ({ takesMessages }) => takesMessages);
    return worker;
  }

  async function expectStored(prefix: string, count: number): Promise<string[]> {
    const ids = numbered(prefix, count);
    const stored = await until(
      async () => (await fleet.stored()).filter(({ id }) => id.startsWith(`${prefix}-`)),
      (found) => found.length >= count,
    );
    assert.deepEqual(stored.map(({ id }) => id).sort(), ids.sort());
    return [...new Set(stored.map(({ by }) => by))].sort();
  }

  function ofSlot(slot: number): TestWorker {
    const worker = workers.findLast(({ ready }) => ready.slot === slot);
    assert.ok(worker);
    return worker;
  }

  /** Of the instance itself; its address is in its folder, for commands. */
  const url = ({ ready }: TestWorker): string =>
    (JSON.parse(readFileSync(join(ready.userDir, 'instance.json'), 'utf8')) as { url: string }).url;

  it('of one environment share the messages, each with a slot and a folder of its own', async function () {
    this.timeout(60_000);
    assert.match(fleet.stderr, /^sluice: this container runs sluice fleet up$/m);
    const started = await Promise.all([start(), start()]);
    assert.deepEqual(started.map(({ ready }) => ready.slot).sort(), [1, 2]);
    for (const { ready } of started) assert.equal(ready.userDir, join(folder.path, 'workers', String(ready.slot)));
    await publish(broker().url, numbered('shared', 200));
    assert.deepEqual(await expectStored('shared', 200), ['press-1', 'press-2']);
  });

  it('say to anybody whether they live and are ready, and no more; the image asks for it', async () => {
    const address = url(ofSlot(1)).replace('0.0.0.0', '127.0.0.1');
    for (const [path, status] of [
      ['sluice/live', 204],
      ['sluice/ready', 204],
      ['sluice/status', 401],
      ['flows', 404],
    ] as const) {
      assert.equal((await fetch(`${address}${path}`)).status, status, path);
    }
    for (const one of [address, fleet.ready.editor]) {
      const [program = '', ...parameters] = healthCheck(one);
      execFileSync(program, parameters);
    }
    const [program = '', ...parameters] = healthCheck(`http://127.0.0.1:${await freePort()}/`);
    assert.throws(() => execFileSync(program, parameters, { stdio: 'pipe' }));
  });

  it('give Prometheus the metrics of the fleet, and nobody else anything', async () => {
    const ask = (path: string, token: string): Promise<Response> =>
      fetch(`http://127.0.0.1:${metrics}/${path}`, { headers: { Authorization: `Bearer ${token}` } });
    assert.match(await (await ask('metrics', 'for Prometheus')).text(), /^sluice_fleet_workers\{fleet="press"\} 2$/m);
    assert.equal((await ask('metrics', 'another')).status, 401);
    assert.equal((await ask('status', 'for Prometheus')).status, 401);
    const { token } = JSON.parse(readFileSync(join(fleet.ready.userDir, 'fleet.json'), 'utf8')) as { token: string };
    assert.equal((await ask('status', token)).status, 404, 'commands are asked for on loopback');
  });

  it('keep the secret, and where it is, from their flows', () => {
    for (const process of [...fleet.children(), ...ofSlot(1).children()]) {
      const environment = readFileSync(`/proc/${process[0]}/environ`, 'utf8');
      assert.match(environment, /SLUICE_FLEET=press/);
      assert.doesNotMatch(environment, /SLUICE_FLEET_SECRET/);
    }
  });

  it('come back to slot and folder after SIGTERM and after SIGKILL, and store what came meanwhile', async function () {
    this.timeout(60_000);
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      const { code } = await ofSlot(1).stop(signal);
      assert.equal(code, signal === 'SIGTERM' ? 0 : null);
      await fleet.untilSlot(1, ({ state }) => state === 'away');
      await publish(broker().url, numbered(signal, 100));
      const again = await start();
      assert.equal(again.ready.slot, 1);
      assert.equal(again.ready.userDir, join(folder.path, 'workers/1'));
      assert.deepEqual(await expectStored(signal, 100), ['press-1', 'press-2']);
    }
  });

  it('never are two on one folder: also where a process id says nothing, as between containers', async function () {
    this.timeout(60_000);
    // Of another container, this id is that of nobody here.
    const file = join(ofSlot(1).ready.userDir, 'instance.json');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, JSON.stringify({ ...(JSON.parse(text) as object), pid: 2 ** 22 + 1 }));
    const third = await start();
    writeFileSync(file, text);
    assert.equal(third.ready.slot, 3);
    assert.equal(third.ready.userDir, join(folder.path, 'workers/3'));
    await third.stop('SIGTERM');
    assert.match(
      await fleet.done('drain', '3', '--take-over'),
      /^slot 3 was taken over, emptied and has left the fleet/,
    );

    const others = ['1', '2', '3'].map((name) => FolderLock.take(join(folder.path, 'others', name)));
    const fourth = await start({}, 'others');
    assert.equal(fourth.ready.userDir, join(folder.path, 'others/4'));
    assert.equal(fourth.ready.slot, 4, 'the number of its folder, where that is free');
    for (const lock of others) lock?.end();
    await fourth.stop('SIGTERM');
    await fleet.done('drain', '4', '--take-over');
  });

  it('are what SLUICE_ROLE says, and say what is missing', async () => {
    const refused = async (environment: Environment): Promise<string> => {
      const { code, stderr } = await runSluice(imageCommand(join(folder.path, 'other')), environment);
      assert.equal(code, 1);
      return stderr;
    };
    assert.match(await refused({ SLUICE_ROLE: 'boss' }), /expected SLUICE_ROLE to be editor or worker, or not to be/);
    assert.match(await refused({}), /this container runs sluice start\n.*expected SLUICE_ADMIN_PASSWORD_HASH/);
    const worker = { ...given, SLUICE_ROLE: 'worker' };
    assert.match(
      await refused({ ...worker, MQTT_URL: undefined }),
      /expected MQTT_URL, or an argument, to name the br/,
    );
    assert.match(await refused({ ...worker, MQTT_URL: 'broker' }), /expected MQTT_URL to be the address of a broker/);
    assert.match(await refused({ ...worker, SLUICE_FLEET: 'a/b' }), /from env 'SLUICE_FLEET' is invalid/);
    assert.match(await refused({ ...worker, SLUICE_SLOT: 'worker-1' }), /from env 'SLUICE_SLOT' is invalid/);
    const none = { ...worker, SLUICE_FLEET_SECRET_FILE: join(folder.path, 'none') };
    assert.match(await refused(none), /expected SLUICE_FLEET_SECRET_FILE to name a file with the fleet's secret, got/);
    const short = join(folder.path, 'short');
    writeFileSync(short, 'short\n');
    assert.match(await refused({ ...worker, SLUICE_FLEET_SECRET_FILE: short }), /of at least 16 characters in .*short/);
  });

  it('of a StatefulSet have the folder for themselves, and leave before they are stopped when it was scaled down', async function () {
    this.timeout(60_000);
    const api = await KubernetesApi.start();
    const inPod: Environment = {
      ...given,
      SLUICE_SLOT: '3',
      KUBERNETES_SERVICE_HOST: '127.0.0.1',
      KUBERNETES_SERVICE_PORT: String(api.port),
    };
    const command = ['container', 'pre-stop', '--stateful-set', 'sluice-worker', '--service-account', api.account];
    const preStop = (spec: object | undefined): Promise<Result> => {
      api.spec = spec;
      return runSluice(command, inPod);
    };
    try {
      const worker = await start({ SLUICE_SLOT: '3' }, 'volume');
      assert.equal(worker.ready.slot, 3);
      assert.equal(worker.ready.userDir, join(folder.path, 'volume'));

      const kept = await preStop({ replicas: 3, ordinals: { start: 1 } });
      assert.match(kept.stdout, /^Worker 3 is one of the 3 that are wanted: it keeps its slot\.$/m);
      const none = await preStop({ replicas: 0, ordinals: { start: 1 } });
      assert.match(none.stdout, /keeps its slot/, 'the last ones keep their sessions');
      const { code, stderr } = await preStop(undefined);
      assert.equal(code, 1);
      assert.match(
        stderr,
        /how many pods the StatefulSet sluice-worker is to have, got HTTP 403: the worker keeps its/,
      );
      assert.deepEqual(fleet.held, [1, 2, 3]);

      const left = await preStop({ replicas: 2, ordinals: { start: 1 } });
      assert.match(left.stdout, /^Worker 3 has left the fleet: 2 are wanted\.$/m);
      assert.equal((await worker.ended).code, 0);
      await until(
        () => fleet.held,
        (held) => !held.includes(3),
      );
      assert.deepEqual((await fleet.status()).dangers, []);
    } finally {
      await api.stop();
    }
  });

  it('of an editor with workers of its own: these do not leave when nobody else goes on', async function () {
    this.timeout(60_000);
    for (const slot of [1, 2]) await ofSlot(slot).stop('SIGTERM');
    assert.equal(await fleet.done('scale', '1'), '1 workers run on this machine');
    const { code, stderr } = await fleet.run('scale', '0');
    assert.equal(code, 1);
    assert.match(stderr, /expected another worker than slot 3 to go on, got none/);
    await start();
    assert.equal(await fleet.done('scale', '0'), '0 workers run on this machine');
  });
});

describeWithServer('an editor without workers of its own', startOwnMosquitto, (broker) => {
  it('lets its devices begin with the first worker that joins: nothing that they send is lost', async function () {
    this.timeout(60_000);
    const folder = temporaryFolder();
    const fleet = await TestFleet.up(folder.path, broker().url, ['-n', '0']);
    assert.deepEqual(fleet.ready.workers, []);
    // More than one interval of the devices.
    await until(
      () => fleet.slot(0),
      (editor) => (editor?.report?.at ?? 0) - (editor?.report?.startedAt ?? 0) > 5_000,
    );
    const worker = await TestWorker.join(broker().url, join(folder.path, 'worker'));
    const numbers = await until(
      async () => {
        const found = await documents(fleet.ready.mongodb, 'devices');
        return found.map(({ _id }) => Number(String(_id).split(':')[2])).sort((a, b) => a - b);
      },
      (all) => all.length >= 3 && all.filter((number) => number === 1).length === 3,
    );
    assert.equal(numbers[0], 1);
    await worker.stop('SIGTERM');
    await fleet.done('down');
    folder.remove();
  });
});

/** A stand-in for the Kubernetes API: answers what a StatefulSet is to be, to those who have the token of a pod. */
class KubernetesApi {
  /** Undefined: this pod may not know. */
  spec: object | undefined;
  readonly #server: Server;
  readonly account: string;
  readonly stop: () => Promise<void>;

  private constructor(server: Server, account: string, stop: () => Promise<void>) {
    this.#server = server;
    this.account = account;
    this.stop = stop;
    server.on('request', ({ url, headers }, response) => {
      const path = '/apis/apps/v1/namespaces/plant/statefulsets/sluice-worker';
      const isAllowed = headers.authorization === 'Bearer of a pod' && url === path && this.spec !== undefined;
      response.writeHead(isAllowed ? 200 : 403).end(JSON.stringify(isAllowed ? { spec: this.spec } : {}));
    });
  }

  static async start(): Promise<KubernetesApi> {
    const authority = await Authority.make();
    const { certificate, key } = await authority.issue();
    const account = temporaryFolder();
    writeFileSync(join(account.path, 'ca.crt'), readFileSync(authority.certificate));
    writeFileSync(join(account.path, 'namespace'), 'plant');
    writeFileSync(join(account.path, 'token'), 'of a pod\n');
    const server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new KubernetesApi(server, account.path, async () => {
      server.close();
      account.remove();
      await authority.remove();
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }
}
