/**
 * What a program costs that does only what the pipeline promises: take in from a session, check, store in batches under
 * the identity of the message, and acknowledge, in the order of receipt, when it is stored. The baseline.
 */
import { Ajv } from 'ajv';
import { MongoBulkWriteError, MongoClient, type Document } from 'mongodb';
import mqtt, { type IPublishPacket } from 'mqtt';

const { MQTT_URL = '', MONGODB_URI = '', QOS = '1', SCHEMA = '{}' } = process.env;
const WINDOW = 1_000;
const BATCH = 500;

interface Received {
  readonly packet: IPublishPacket;
  readonly qos: 0 | 1 | 2;
  document: Document | undefined;
}

const validate = new Ajv({ strict: false }).compile(JSON.parse(SCHEMA) as object);
const mongo = await MongoClient.connect(MONGODB_URI);
const collection = mongo.db('bench').collection<Document & { _id: string }>('devices', {
  writeConcern: { w: 'majority', journal: true },
});
const client = mqtt.connect(MQTT_URL, {
  protocolVersion: 5,
  clientId: 'bench-bare',
  clean: false,
  properties: { sessionExpiryInterval: 600, receiveMaximum: WINDOW },
});
let queue: Received[] = [];
let writing = false;
/** Of QoS 2: what is under way, and what is not released. */
const known = new Set<number>();
let qos: 0 | 1 | 2 = 0;

client.on('packetreceive', (packet) => {
  if (packet.cmd === 'connack') queue = []; // what came by another connection comes again
  if (packet.cmd === 'pubrel') known.delete(packet.messageId ?? 0);
  if (packet.cmd !== 'publish') return;
  ({ qos } = packet);
  packet.qos = 0; // so that mqtt.js does not acknowledge
});
client.on('message', (topic, payload, packet) => {
  const id = packet.messageId ?? 0;
  if (qos === 2) {
    if (packet.dup && known.has(id)) return;
    known.add(id);
  }
  queue.push({ packet, qos, document: documentOf(topic, payload) });
  if (!writing) {
    writing = true;
    setImmediate(() => void write());
  }
});
client.on('connect', () => client.subscribe('device/#', { qos: Number(QOS) as 0 | 1 | 2 }));

function documentOf(topic: string, payload: Buffer): Document | undefined {
  const value = JSON.parse(payload.toString()) as { uuid: string; value: number; seq: number };
  if (!validate(value) || !topic.startsWith('device/')) return undefined;
  return { ...value, _id: `${value.uuid}:${value.seq}` };
}

async function write(): Promise<void> {
  while (queue.length > 0) {
    const batch = queue.splice(0, BATCH);
    const documents = batch.flatMap(({ document }) => document ?? []) as (Document & { _id: string })[];
    for (let stored = documents.length === 0; !stored;) stored = await insert(documents);
    acknowledge(batch);
  }
  writing = false;
}

/** @returns whether all are stored: one that was stored before is */
async function insert(documents: (Document & { _id: string })[]): Promise<boolean> {
  try {
    await collection.insertMany(documents, { ordered: false });
    return true;
  } catch (error) {
    if (!(error instanceof MongoBulkWriteError)) return false;
    return [error.writeErrors].flat().every(({ code }) => code === 11_000);
  }
}

function acknowledge(batch: readonly Received[]): void {
  const answers = batch.filter(({ qos: of }) => of > 0);
  const packets = Buffer.alloc(4 * answers.length);
  for (const [index, { packet, qos: of }] of answers.entries()) {
    packets.writeUInt16BE(of === 1 ? 0x4002 : 0x5002, 4 * index); // PUBACK, PUBREC
    packets.writeUInt16BE(packet.messageId ?? 0, 4 * index + 2);
  }
  if (packets.length > 0) client.stream.write(packets);
}
