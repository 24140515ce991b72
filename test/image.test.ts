/**
 * The image and what it runs beside. There is no Docker engine where the tests run: the files are linted, and every command
 * that they name is carried out here, in a folder in place of the image's.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { DockerfileParser, type Instruction } from 'dockerfile-ast';
import { validate } from 'dockerfile-utils';
import { connect, connectAsync } from 'mqtt';
import { parse } from 'yaml';
import { openObjectStore } from '../nodes/object-store/store.js';
import { describeWithServer, findOnPath, freePort, startProcess } from './servers/server.js';
import { versitygwProgram } from './servers/versitygw.js';
import { mosquittoProgram } from './servers/mosquitto.js';
import { healthCheck } from './fleet/container.js';
import { temporaryFolder } from './sluice.js';

const ROOT = join(import.meta.dirname, '..');
const text = (file: string): string => readFileSync(join(ROOT, file), 'utf8');
/** Of compose.yaml, those that run the image. */
const SLUICE = ['editor', 'worker'];
/** Node.js and npm as the image has them: those of the project. */
const NODE = process.execPath;

interface Service {
  readonly image?: string;
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly volumes?: readonly string[];
  readonly ports?: readonly string[];
  readonly stop_grace_period?: string;
  readonly healthcheck?: { readonly test: readonly string[] };
}

const instructions = (name: string): Instruction[] =>
  DockerfileParser.parse(text('Dockerfile'))
    .getInstructions()
    .filter((instruction) => instruction.getKeyword() === name);
const words = (instruction: Instruction | undefined): string[] =>
  JSON.parse(instruction?.getArgumentsContent()?.replace(/^.*?CMD\s+/s, '') ?? '[]') as string[];
const compose = parse(text('compose.yaml')) as { services: Record<string, Service>; volumes: Record<string, unknown> };

describe('the image', () => {
  it('is described without a finding of the linters', () => {
    assert.deepEqual(
      validate(text('Dockerfile')).map(({ message, range }) => [range.start.line + 1, message]),
      [],
    );
    const lint = join(ROOT, 'node_modules/.bin/dclint');
    execFileSync(lint, ['--max-warnings', '0', 'compose.yaml'], { cwd: ROOT, stdio: 'pipe' });
  });

  it('builds from what is in the repository, has no build tools, runs as it says, and tells its health', async function () {
    this.timeout(300_000);
    const folder = temporaryFolder();
    try {
      const build = join(folder.path, 'build');
      const app = join(folder.path, 'app');
      const data = join(folder.path, 'data');
      const ignored = text('.dockerignore').split('\n');
      for (const file of execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: ROOT, encoding: 'utf8' })
        .trim()
        .split('\n')) {
        if (ignored.some((entry) => file === entry || file.startsWith(`${entry}/`)) || !existsSync(join(ROOT, file)))
          continue;
        mkdirSync(dirname(join(build, file)), { recursive: true });
        cpSync(join(ROOT, file), join(build, file));
      }
      const env = { ...process.env, PATH: `${dirname(NODE)}${delimiter}${process.env['PATH'] ?? ''}` };
      const [install, compile] = instructions('RUN').map((run) => run.getArgumentsContent() ?? '');
      for (const command of [install, compile]) {
        execFileSync('sh', ['-ec', command ?? 'false'], { cwd: build, env, stdio: 'pipe' });
      }
      const copies = instructions('COPY').map((copy) => (copy.getArgumentsContent() ?? '').split(' '));
      // Those of the last stage, from the first one's folder.
      for (const paths of copies.filter(([first]) => first?.startsWith('/app/'))) {
        const target = paths.pop() ?? '';
        for (const path of paths) {
          const source = path.replace(/^\/app/, build);
          const to = target.endsWith('/') ? join(app, target, source.split('/').at(-1) ?? '') : join(app, target);
          mkdirSync(dirname(to), { recursive: true });
          cpSync(source, to, { recursive: true, verbatimSymlinks: true });
        }
      }
      rmSync(build, { recursive: true });
      for (const tool of ['typescript', 'esbuild', 'mocha', 'playwright-core', 'typebox', 'csv-stringify']) {
        assert.ok(!existsSync(join(app, 'node_modules', tool)), `${tool} in the image`);
      }

      mkdirSync(data);
      const placed = (parts: string[]): string[] =>
        parts.map((part) => (part === 'node' ? NODE : part.replace(/^\/app/, app).replace(/^\/data$/, data)));
      const entry = placed(words(instructions('ENTRYPOINT')[0]));
      const [program = '', ...parameters] = [...entry, ...placed(words(instructions('CMD').at(-1)))];
      const hash = execFileSync(entry[0] ?? '', [...entry.slice(1), 'password'], {
        input: 'secret\n',
        encoding: 'utf8',
      });
      const { MQTT_URL, MONGODB_URI, S3_URL, ...others } = process.env;
      const ports = ['--port', '0', '--mqtt-port', '0', '--mongodb-port', '0', '--json'];
      const child = spawn(program, [...parameters, ...ports], {
        env: { ...others, SLUICE_ADMIN_PASSWORD_HASH: hash.trim() },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(child, 'exit');
      try {
        const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
        assert.match(line, /"ready":true,"editor":"http:\/\/0\.0\.0\.0:/);
        const { editor } = JSON.parse(line) as { editor: string };
        const [check = '', ...rest] = healthCheck(editor);
        execFileSync(check, rest);
        child.kill('SIGTERM');
        assert.equal((await ended)[0], 0);
        assert.throws(() => execFileSync(check, rest, { stdio: 'pipe' }));
      } finally {
        child.kill('SIGKILL');
      }
    } finally {
      folder.remove();
    }
  });

  it('does not run as root, and keeps its data in a volume that is its own', () => {
    assert.equal(instructions('USER')[0]?.getArgumentsContent(), 'node');
    assert.equal(instructions('VOLUME')[0]?.getArgumentsContent(), '/data');
    assert.ok(instructions('RUN').some((run) => run.getArgumentsContent()?.includes('chown node:node /data')));
  });
});

describe('compose.yaml', () => {
  it('names files and volumes that are there, and gives the variables that the flow asks for', () => {
    const flow = text('flows/devices-to-mongo-and-s3.json');
    const asked = [...flow.matchAll(/\$\{([A-Z0-9_]+)\}/g)].map(([, name]) => name ?? '');
    for (const name of asked) assert.ok(name in (compose.services['editor']?.environment ?? {}), name);
    for (const { volumes = [] } of Object.values(compose.services)) {
      for (const volume of volumes) {
        const [source = ''] = volume.split(':');
        if (source.startsWith('./')) assert.ok(existsSync(join(ROOT, source)), source);
        else assert.ok(source in compose.volumes, source);
      }
    }
    for (const [name, { healthcheck }] of Object.entries(compose.services)) {
      // The image has its own.
      if (!SLUICE.includes(name)) assert.equal(healthcheck?.test[0], 'CMD', name);
    }
  });

  it('runs an editor and as many workers as are asked for, with one secret, and time to stop', () => {
    assert.deepEqual(
      SLUICE.map((name) => compose.services[name]?.environment?.['SLUICE_ROLE']),
      SLUICE,
    );
    const [editor, worker] = SLUICE.map((name) => compose.services[name]);
    const secret = worker?.environment?.['SLUICE_FLEET_SECRET'];
    assert.match(secret ?? '', /^\$\{SLUICE_FLEET_SECRET:\?/, 'of .env, and needed');
    assert.equal(secret, editor?.environment?.['SLUICE_FLEET_SECRET']);
    assert.equal(worker?.environment?.['MQTT_URL'], editor?.environment?.['MQTT_URL']);
    // More than one cannot have the same port.
    assert.equal(worker?.ports, undefined);
    const volumes = [editor, worker].map((service) => service?.volumes?.[0]);
    assert.deepEqual(volumes, ['editor:/data', 'workers:/data']);
    for (const service of [editor, worker]) assert.equal(service?.stop_grace_period, '60s');
  });

  describeWithServer(
    'its broker',
    async () => {
      const command = await mosquittoProgram();
      const folder = temporaryFolder();
      const port = await freePort();
      const given = text('deploy/mosquitto.conf');
      const file = join(folder.path, 'mosquitto.conf');
      // The image's folder, and its user, are not here.
      const own = given
        .replace(/^listener 1883$/m, `listener ${port} 127.0.0.1\nuser ${process.env['USER'] ?? 'root'}`)
        .replace('/mosquitto/data/', `${folder.path}/`);
      assert.notEqual(own, given);
      writeFileSync(file, own);
      const start = () => startProcess({ command, args: ['-c', file], cwd: folder.path, port });
      let server = await start();
      return {
        port,
        crash: async () => {
          await server.kill();
          server = await start();
        },
        stop: async () => {
          await server.stop();
          folder.remove();
        },
      };
    },
    (server) => {
      it('keeps without limit what it acknowledged, also when it is killed, but for the last one; its health check answers', async function () {
        this.timeout(60_000);
        const url = `mqtt://127.0.0.1:${server().port}`;
        const session = {
          clientId: 'away',
          clean: false,
          protocolVersion: 5,
          properties: { sessionExpiryInterval: 600 },
        } as const;
        const away = await connectAsync(url, session);
        await away.subscribeAsync('device/#', { qos: 1 });
        await away.endAsync();
        const publisher = await connectAsync(url, { protocolVersion: 5 });
        for (let n = 0; n <= 1_500; n++) await publisher.publishAsync('device/a', String(n), { qos: 1 });
        await publisher.endAsync(true);
        await server().crash();
        // Made by hand: what waits comes right behind the CONNACK.
        const back = connect(url, session);
        const got = new Set<string>();
        back.on('message', (_topic, payload) => got.add(payload.toString()));
        const all = (): boolean => Array.from({ length: 1_500 }, (_item, n) => String(n)).every((n) => got.has(n));
        while (!all()) await once(back as never, 'message');
        await back.endAsync();

        const [, subscriber = '', ...parameters] = compose.services['mosquitto']?.healthcheck?.test ?? [];
        const program = await findOnPath(subscriber);
        if (program === undefined) throw new Error(`${subscriber} is not on the PATH: apt install mosquitto-clients`);
        const asked = parameters.map((parameter) => parameter.replaceAll('$$', '$'));
        const answer = execFileSync(program, ['-p', String(server().port), ...asked], { encoding: 'utf8' });
        assert.match(answer, /^mosquitto version /);
      });
    },
  );

  describeWithServer(
    'its object store',
    async () => {
      const binary = await versitygwProgram();
      const folder = temporaryFolder();
      const port = await freePort();
      // Beside the image's own name for it.
      writeFileSync(join(folder.path, 'versitygw'), `#!/bin/sh\nexec ${binary} "$@"\n`);
      chmodSync(join(folder.path, 'versitygw'), 0o755);
      const { command = [] } = compose.services['s3'] ?? {};
      const script = command
        .join('')
        .replace(':7070', `127.0.0.1:${port}`)
        .replaceAll(/ \/(data|meta)/g, ` ${folder.path}/$1`);
      const server = await startProcess({
        command: '/bin/sh',
        args: ['-c', script],
        env: {
          PATH: `${folder.path}${delimiter}${process.env['PATH'] ?? ''}`,
          ROOT_ACCESS_KEY: 'sluice',
          ROOT_SECRET_KEY: 'secret',
        },
        port,
      });
      return {
        port,
        stop: async () => {
          await server.stop();
          folder.remove();
        },
      };
    },
    (server) => {
      it('has the bucket that S3_URL names, takes an object with the keys that are given, and tells its health', async () => {
        const url = compose.services['editor']?.environment?.['S3_URL'] ?? '';
        const here = url.replace('s3%3A7070', `127.0.0.1%3A${server().port}`);
        assert.notEqual(here, url);
        const store = openObjectStore(here, { accessKeyId: 'sluice', secretAccessKey: 'secret' });
        await store.put('a/b.ndjson', Buffer.from('{}\n'), { contentType: 'application/x-ndjson' });
        store.close();
        const address = (compose.services['s3']?.healthcheck?.test.at(-1) ?? '').replace(':7070', `:${server().port}`);
        assert.equal((await fetch(address)).status, 200);
      });
    },
  );
});
