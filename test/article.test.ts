import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Document } from 'mongodb';
import { startPython, type PythonProcess } from './servers/python.js';
import { describeWithServer } from './servers/server.js';
import { documents, runSluice, RunningSluice, temporaryFolder, until } from './sluice.js';

const GATEWAY = join(import.meta.dirname, '../flows/article-gateway.json');
const DEVICE_PY = join(import.meta.dirname, 'article/device.py');
const MONGOGW_PY = join(import.meta.dirname, 'article/mongogw.py');
/** An empty flow: what is embedded runs, and nothing takes messages but the article's own gateway. */
const NO_FLOW = join(import.meta.dirname, 'article/no-flow.json');

const LOGIN = { user: 'mongogw', password: '123456' };

describe("the article's programs", function () {
  this.timeout(60_000);

  describeWithServer("as Debian's Python runs them", startPython, (python) => {
    let folder: ReturnType<typeof temporaryFolder>;
    let sluice: RunningSluice | undefined;
    let program: PythonProcess | undefined;

    beforeEach(() => {
      folder = temporaryFolder();
    });
    afterEach(async () => {
      await program?.stop();
      await sluice?.stop('SIGKILL');
      folder.remove();
    });

    /** What is stored, once it holds. A program that has ended will bring no more. */
    async function stored(uri: string, holds: (all: Document[]) => boolean): Promise<Document[]> {
      return until(() => {
        assert.ok(program?.running, program?.output);
        return documents(uri, 'devices');
      }, holds);
    }

    it('device.py publishes into the embedded broker, and the flow stores what mongogw.py would', async () => {
      sluice = await RunningSluice.start(folder.path, [GATEWAY, '--name', 'gateway-1']);
      const { mqtt, mongodb } = sluice.ready;
      const startedAt = Date.now();
      program = python().run(DEVICE_PY, ['-b', '127.0.0.1', '-p', new URL(mqtt).port, '-r', '20', '-q', '1']);
      const all = await stored(inMongogw(mongodb), ({ length }) => length >= 20);
      for (const document of all) {
        assert.deepEqual(Object.keys(document), ['_id', 'date', 'deviceUID', 'value', 'gatewayID']);
        const { date, deviceUID, value, gatewayID } = document as Record<string, unknown>;
        assert.ok(date instanceof Date && date.getTime() >= startedAt && date.getTime() <= Date.now());
        assert.match(String(deviceUID), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
        assert.ok(Number.isInteger(value) && (value as number) >= 20 && (value as number) <= 30);
        assert.equal(gatewayID, 'gateway-1');
      }
      assert.equal(new Set(all.map(({ deviceUID }) => String(deviceUID))).size, 1);
    });

    it('mongogw.py logs in, reads the simulator and stores into the embedded store', async () => {
      sluice = await RunningSluice.start(folder.path, [NO_FLOW], {
        SLUICE_MONGODB_USER: LOGIN.user,
        SLUICE_MONGODB_PASSWORD: LOGIN.password,
      });
      const { mqtt, mongodb } = sluice.ready;
      const { port } = new URL(mqtt);
      program = python().run(
        MONGOGW_PY,
        ['-b', '127.0.0.1', '-p', port, '-m', mongodb, '-u', LOGIN.user, '-w', LOGIN.password],
        { MESOS_TASK_ID: 'mqtt.instance-1.mongogw' },
      );
      const uri = inMongogw(mongodb).replace('//', `//${LOGIN.user}:${LOGIN.password}@`);
      const simulate = async (seed: string, count: number): Promise<void> => {
        const where = ['-b', '127.0.0.1', '-p', port, '--seed', seed];
        const { code, stderr } = await runSluice(['simulate', ...where, '-n', '3', '-r', '100', '--count', `${count}`]);
        assert.equal(code, 0, stderr);
      };
      // It subscribes at QoS 0 and says nothing: what is published before is nobody's.
      await until(
        async () => {
          assert.ok(program?.running, program?.output);
          await simulate('before', 1);
          return (await documents(uri, 'devices')).length;
        },
        (length) => length > 0,
      );
      const before = await documents(uri, 'devices');
      await simulate('a', 60);
      const all = await stored(uri, ({ length }) => length >= before.length + 60);
      const old = new Set(before.map(({ deviceUID }) => String(deviceUID)));
      const fresh = all.filter(({ deviceUID }) => !old.has(String(deviceUID)));
      assert.equal(fresh.length, 60);
      assert.equal(new Set(fresh.map(({ deviceUID }) => String(deviceUID))).size, 3);
      for (const document of fresh) {
        assert.deepEqual(Object.keys(document), ['_id', 'date', 'deviceUID', 'value', 'gatewayID']);
        const { date, value, gatewayID } = document as Record<string, unknown>;
        assert.ok(date instanceof Date);
        assert.ok(Number.isInteger(value) && (value as number) >= 20 && (value as number) <= 30);
        assert.equal(gatewayID, 'mqtt.instance-1.mongogw');
      }
    });

    it('mongogw.py is refused with another password', async () => {
      sluice = await RunningSluice.start(folder.path, [NO_FLOW], {
        SLUICE_MONGODB_USER: LOGIN.user,
        SLUICE_MONGODB_PASSWORD: LOGIN.password,
      });
      const { mqtt, mongodb } = sluice.ready;
      const { port } = new URL(mqtt);
      const refused = python().run(
        MONGOGW_PY,
        ['-b', '127.0.0.1', '-p', port, '-m', mongodb, '-u', LOGIN.user, '-w', 'another'],
        { MESOS_TASK_ID: 'mqtt.instance-1.mongogw' },
      );
      program = refused;
      await until(
        async () => {
          await runSluice(['simulate', '-b', '127.0.0.1', '-p', port, '--count', '1']);
          return refused.output;
        },
        (output) => /Authentication failed/i.test(output),
      );
    });
  });
});

/** The article's database, whatever the one of the URI is. */
function inMongogw(uri: string): string {
  const url = new URL(uri);
  url.pathname = '/mongogw';
  return url.searchParams.size === 0 && !url.href.includes('@') ? `${url.href}?authSource=admin` : url.href;
}
