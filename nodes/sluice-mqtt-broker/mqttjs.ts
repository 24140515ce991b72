/**
 * How mqtt.js is kept from acknowledging what it receives. It has no way for that: one that answers late would stop its
 * parser, and with it the pings, or wait for PUBREL at QoS 2. All that is used here beside its documented interface is
 * pinned by a contract test: the order packetreceive → message → handleMessage with the same packet, that a QoS set before
 * is honoured, PUBCOMP for an id that it does not know, `onKeepaliveTimeout`, `keepaliveManager` and `stream`.
 */
import type { IPublishPacket, MqttClient } from 'mqtt';

/** One PUBLISH that arrived, under its whole topic. */
export type Publish = IPublishPacket & { readonly topic: string; readonly payload: Buffer };

export interface Arrivals {
  /** There is a connection: all that comes from now on comes by it. */
  connected(sessionPresent: boolean): void;
  /**
   * A PUBLISH that nobody acknowledges, at the QoS that it came with.
   *
   * @param next - must be called, once: until then nothing else is read, no answer of the broker either
   */
  publish(publish: Publish, next: () => void): void;
  /** The broker has let go of an id of QoS 2, and is answered. */
  released(id: number): void;
}

const PUBACK = 0x40;
const PUBREC = 0x50;

/** Hands over what a client receives, from before it connects. PUBREL is answered by the client itself. */
export function receiveUnacknowledged(client: MqttClient, arrivals: Arrivals): void {
  let qos: 0 | 1 | 2 = 0;
  let publish: Publish | undefined;
  let stalled = false;
  client.on('packetreceive', (packet) => {
    if (packet.cmd === 'publish') {
      ({ qos } = packet);
      packet.qos = 0; // mqtt.js neither acknowledges nor stores it
    } else if (packet.cmd === 'connack' && (packet.reasonCode ?? packet.returnCode) === 0) {
      stalled = false;
      arrivals.connected(packet.sessionPresent);
    } else if (packet.cmd === 'pubrel' && packet.messageId !== undefined) arrivals.released(packet.messageId);
  });
  client.on('message', (topic, _payload, packet) => {
    // Given back: from here on the client asks its packet for nothing but properties. The topic may have been an alias.
    packet.qos = qos;
    packet.topic = topic;
    publish = packet as Publish;
  });
  client.handleMessage = (_packet, done) => {
    const next = (): void => {
      stalled = false;
      done();
    };
    stalled = true;
    if (publish === undefined) next();
    else arrivals.publish(publish, next);
  };
  const timeOut = client.onKeepaliveTimeout.bind(client);
  client.onKeepaliveTimeout = () => {
    if (!stalled) timeOut();
    else {
      // The answer to the last ping cannot be read; the broker must hear from us all the same [MQTT-3.1.2-22].
      client.keepaliveManager.reschedule();
      client.sendPing();
    }
  };
}

/** Writes PUBACKs (QoS 1) or PUBRECs (QoS 2) that say success, in one piece. */
export function acknowledge({ stream }: MqttClient, qos: 1 | 2, ids: readonly number[]): void {
  const packets = Buffer.allocUnsafe(4 * ids.length);
  let end = 0;
  for (const id of ids) {
    end = packets.writeUInt8(qos === 1 ? PUBACK : PUBREC, end);
    end = packets.writeUInt8(2, end);
    end = packets.writeUInt16BE(id, end);
  }
  if (stream.writable) stream.write(packets);
}
