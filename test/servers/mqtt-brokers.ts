/** The MQTT brokers that the tests run on, and in what they differ. */
import { EmbeddedBroker } from '../../runtime/embedded/broker.js';
import { startHiveMq } from './hivemq.js';
import { startMosquitto } from './mosquitto.js';
import { describeWithServer, type TestServer } from './server.js';

export interface BrokerKind {
  readonly name: string;
  /** The highest version of MQTT: 5, or 3.1.1's 4, which has no properties. */
  readonly version: 4 | 5;
  /** How many publishes it takes unanswered: its receiveMaximum, or what is assumed where it cannot say. */
  readonly window: number;
  /** At what QoS it says that nobody has a subscription (0x10). mosquitto 2.0 does not in its PUBREC. */
  readonly unclaimedAt: readonly (1 | 2)[];
  /** Whether a subscription with a wildcard lowers the QoS of what it gets [MQTT-3.8.4-8]. aedes 1.2.0 does it for no wildcard. */
  readonly lowersQosOfWildcards: boolean;
  /** Whether every member of a shared group gets something of a few messages. HiveMQ may give all to one. */
  readonly sharesEvenly: boolean;
  readonly start: () => Promise<TestServer>;
}

const AEDES: BrokerKind = {
  name: 'aedes (MQTT 3.1.1)',
  version: 4,
  window: 20,
  unclaimedAt: [],
  lowersQosOfWildcards: false,
  sharesEvenly: false,
  start: () => EmbeddedBroker.start(0),
};
const MOSQUITTO: BrokerKind = {
  name: 'mosquitto (MQTT 5)',
  version: 5,
  window: 20,
  unclaimedAt: [1],
  lowersQosOfWildcards: true,
  sharesEvenly: true,
  start: startMosquitto,
};
const HIVEMQ: BrokerKind = {
  name: 'HiveMQ CE (MQTT 5)',
  version: 5,
  window: 10,
  unclaimedAt: [1, 2],
  lowersQosOfWildcards: true,
  sharesEvenly: false,
  start: startHiveMq,
};

type Suite = (server: () => TestServer, kind: BrokerKind) => void;

/** The suite on each broker. */
export function onEveryBroker(suite: Suite): void {
  for (const kind of [AEDES, MOSQUITTO, HIVEMQ])
    describeWithServer(`on ${kind.name}`, kind.start, (server) => suite(server, kind));
}

/** The suite on each broker with MQTT 5. */
export function onEveryBrokerWithMqtt5(suite: Suite): void {
  for (const kind of [MOSQUITTO, HIVEMQ])
    describeWithServer(`on ${kind.name}`, kind.start, (server) => suite(server, kind));
}
