/** Flows with our MQTT nodes in Node-RED, and other MQTT clients beside them. */
import { EventEmitter, once } from 'node:events';
import { connectAsync, type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import helper from 'node-red-node-test-helper';
import { Instance, type RunningNode } from '../nodes/adapter/instance.js';
import { plugin } from '../nodes/adapter/endpoints.js';
import type { Red } from '../nodes/adapter/red.js';
import type { StatusLevel } from '../nodes/adapter/status.js';
import deviceSimulator from '../nodes/device-simulator/device-simulator.js';
import mqttIngest from '../nodes/mqtt-ingest/mqtt-ingest.js';
import mqttPublish from '../nodes/mqtt-publish/mqtt-publish.js';
import sluiceMqttBroker from '../nodes/sluice-mqtt-broker/sluice-mqtt-broker.js';
import type { Message } from '../nodes/lib/message.js';
import { useNodeRed, type FlowNode } from './node-red.js';

export type Entry = (red: Red) => void;
type Settings = Record<string, unknown>;

const ON_A_TAB = { z: 'tab', x: 1, y: 1, configVersion: 1 };

export const brokerNode = (url: string, settings: Settings = {}): FlowNode => ({
  id: 'broker',
  type: 'sluice-mqtt-broker',
  configVersion: 1,
  url,
  ...settings,
});

export const ingestNode = (settings: Settings = {}): FlowNode => ({
  id: 'ingest',
  type: 'mqtt-ingest',
  broker: 'broker',
  wires: [['out'], ['rejected']],
  ...ON_A_TAB,
  ...settings,
});

export const publishNode = (settings: Settings = {}): FlowNode => ({
  id: 'publish',
  type: 'mqtt-publish',
  broker: 'broker',
  wires: [['published'], ['rejected']],
  ...ON_A_TAB,
  ...settings,
});

export const simulatorNode = (settings: Settings = {}): FlowNode => ({
  id: 'simulator',
  type: 'device-simulator',
  broker: 'broker',
  wires: [['simulated']],
  ...ON_A_TAB,
  ...settings,
});

export const helperNode = (id: string): FlowNode => ({ id, type: 'helper', ...ON_A_TAB });

const ENDS: FlowNode[] = [
  { id: 'tab', type: 'tab' },
  ...['out', 'published', 'rejected', 'simulated', 'caught'].map(helperNode),
  { id: 'catch', type: 'catch', ...ON_A_TAB, scope: null, uncaught: false, wires: [['caught']] },
];

/** For one `describe`. What a test opens is closed after it: the flow first, then its clients. */
export function useMqttFlows() {
  const nodeRed = useNodeRed();
  const clients = new Set<MqttClient>();
  let instance: Instance;
  const arrivals = new Map<string, Message[]>();
  const changes = new EventEmitter().setMaxListeners(0);

  afterEach(async () => {
    await Promise.all([...clients].map((client) => client.endAsync(true)));
    clients.clear();
  });

  const running = (id: string): RunningNode => {
    const node = instance.nodes.get(id);
    if (node === undefined) throw new Error(`${id} is not part of the flow, or its settings are wrong`);
    return node;
  };

  return {
    ...nodeRed,
    running,
    instance: (): Instance => instance,
    counters: (id: string): Record<string, number> => running(id).counters.snapshot(),

    /** Loads nodes on a tab with the ends of the wires: `out`, `published`, `rejected`, `simulated`, and `caught` behind a Catch node. */
    async load(nodes: FlowNode[], credentials: Record<string, Record<string, string>> = {}, more: Entry[] = []) {
      const observe = (red: Red): void => void (instance = Instance.of(red));
      const entries = [plugin, sluiceMqttBroker, mqttIngest, mqttPublish, deviceSimulator, ...more, observe];
      const flow = [...ENDS, ...nodes];
      arrivals.clear();
      await nodeRed.load(entries, flow, credentials);
      for (const { id, type } of flow) {
        if (type !== 'helper') continue;
        const arrived: Message[] = [];
        arrivals.set(id, arrived);
        nodeRed.node(id).on('input', (message: Message) => {
          arrived.push(message);
          changes.emit('change');
        });
      }
    },

    /** What has arrived at the end of a wire since the load, when it is `count` messages or more. */
    async arrived(id: string, count = 1): Promise<Message[]> {
      const messages = arrivals.get(id) ?? [];
      while (messages.length < count) await once(changes, 'change');
      return messages;
    },

    /** The first message at the end of a wire that is such, since the load or to come. */
    async arrivedSuch(id: string, such: (message: Message) => boolean): Promise<Message> {
      for (;;) {
        const found = arrivals.get(id)?.find(such);
        if (found !== undefined) return found;
        await once(changes, 'change');
      }
    },

    /** Deploys the nodes that have changed, and only those; the others go on. */
    async redeploy(nodes: FlowNode[]): Promise<void> {
      const deployer = helper as unknown as { setFlows(flow: FlowNode[], type: 'nodes'): Promise<void> };
      await deployer.setFlows([...ENDS, ...nodes], 'nodes');
    },

    /** Resolves with the text when a node's status is, or becomes, of that level. */
    async shows(id: string, level: StatusLevel, pattern = /^/): Promise<string> {
      for (;;) {
        const { status } = running(id);
        if (status.level === level && pattern.test(status.text)) return status.text;
        await once(nodeRed.node(id) as never, 'call:status');
      }
    },

    /** Another client, over MQTT 5 where nothing else is said, that does not reconnect. */
    async client(url: string, options: IClientOptions = {}): Promise<TestClient> {
      const client = await connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0, ...options }, false);
      clients.add(client);
      return new TestClient(client);
    },
  };
}

export class TestClient {
  readonly mqtt: MqttClient;
  readonly #got: IPublishPacket[] = [];

  constructor(client: MqttClient) {
    this.mqtt = client;
    client.on('message', (_topic, _payload, packet) => this.#got.push(packet));
  }

  async publish(topic: string, payload: string | Buffer, options: Parameters<MqttClient['publishAsync']>[2] = {}) {
    await this.mqtt.publishAsync(topic, payload, { qos: 1, ...options });
  }

  async subscribe(filter: string, qos: 0 | 1 | 2 = 1): Promise<void> {
    await this.mqtt.subscribeAsync(filter, { qos });
  }

  /** What has been received so far, when it is `count` messages or more. */
  async received(count = 1): Promise<readonly IPublishPacket[]> {
    while (this.#got.length < count) await once(this.mqtt as never, 'message');
    return this.#got;
  }
}
