/** The s3-sink node in a flow of its own, as the suites of it use it. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { Instance } from '../nodes/adapter/instance.js';
import type { Red } from '../nodes/adapter/red.js';
import objectStore from '../nodes/object-store/object-store.js';
import type { Config } from '../nodes/s3-sink/config.js';
import s3Sink from '../nodes/s3-sink/s3-sink.js';
import { useNodeRed, type FlowNode, type TestNode } from './node-red.js';
import type { TestPlace } from './object-stores.js';
import { temporaryFolder } from './sluice.js';

export function useS3Sink() {
  const nodeRed = useNodeRed();
  let instance: Instance;
  let folder: ReturnType<typeof temporaryFolder> | undefined;
  beforeEach(() => newUserFolder());
  afterEach(() => {
    nodeRed.settings({});
    folder?.remove();
    folder = undefined;
  });

  /** Where the spool is: with a new one the sink has never seen a message. */
  function newUserFolder(): void {
    folder?.remove();
    folder = temporaryFolder();
    nodeRed.settings({ userDir: folder.path });
  }

  const flow = (url: string, settings: Partial<Config>): FlowNode[] => [
    { id: 'tab', type: 'tab', label: 'Werk 3: Öfen' },
    { id: 'store', type: 'object-store', configVersion: 1, url },
    {
      id: 'sink',
      type: 's3-sink',
      z: 'tab',
      x: 1,
      y: 1,
      configVersion: 1,
      store: 'store',
      wires: [['stored'], ['rejected']],
      ...settings,
    },
    { id: 'stored', type: 'helper', z: 'tab', x: 1, y: 1 },
    { id: 'rejected', type: 'helper', z: 'tab', x: 1, y: 1 },
  ];

  /** The statuses that a node has had since the load. */
  function statuses(id: string): { fill?: string; text: string }[] {
    const target = nodeRed.node(id);
    const spy = Reflect.get(target, 'status') as unknown as {
      args: [{ fill?: string; text: string }][];
      thisValues: TestNode[];
    };
    return spy.args.filter((_args, index) => spy.thisValues[index] === target).map(([status]) => status);
  }

  const counters = (): Record<string, number> => instance.nodes.get('sink')?.counters.snapshot() ?? {};

  return {
    ...nodeRed,
    async load(place: Pick<TestPlace, 'url' | 'credentials'>, settings: Partial<Config> = {}): Promise<void> {
      const observe = (red: Red): void => void (instance = Instance.of(red));
      await nodeRed.load([objectStore, s3Sink, observe], flow(place.url, settings), { store: place.credentials });
    },
    newUserFolder,
    statuses,
    /** The first status since the load that matches, or the next. */
    statusLike: async (id: string, pattern: RegExp): Promise<{ fill?: string; text?: string }> =>
      statuses(id).find(({ text }) => pattern.test(text)) ?? nodeRed.status(id, pattern),
    /** The sentence of which the status shows the beginning. */
    sentence: (): string => instance.nodes.get('sink')?.status.text ?? '',
    counters,
    /** How many messages the sink has been given and has not completed. */
    open: (): number | undefined => instance.nodes.get('sink')?.open(),
    /** Resolves when so many records are in objects of the store, and have left the spool. */
    async stored(records: number): Promise<void> {
      while ((counters()['stored'] ?? 0) < records) await turn();
    },
    instanceName: (): string => instance.name,
    /** Node-RED delivers messages after they were sent, one by one. */
    async received(messages: number): Promise<void> {
      while ((counters()['received'] ?? 0) < messages) await turn();
    },
  };
}

/** The text of an object, unpacked by what its first bytes say that it is. */
export function textOf(body: Buffer): string {
  if (body[0] === 0x1f && body[1] === 0x8b) return gunzipSync(body).toString(); // RFC 1952, section 2.3.1
  if (body.length >= 4 && body.readUInt32LE() === 0xfd2fb528) return zstdDecompressSync(body).toString(); // RFC 8878, section 3.1.1
  return body.toString();
}

/** What the lines of an NDJSON object hold. */
export function linesOf(body: Buffer): unknown[] {
  const text = textOf(body);
  assert.ok(text.endsWith('\n'));
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
}
