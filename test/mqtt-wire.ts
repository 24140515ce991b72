/** A line to an MQTT broker that writes down each packet that it carries, and can be cut. */
import { EventEmitter, once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import type { Packet } from 'mqtt';
import { mqttPacket, type PacketOf } from './servers/scripted-mqtt.js';

type Command = Packet['cmd'];

export interface Carried<P extends Packet = Packet> {
  /** From 0 on, in the order in which they were made. */
  readonly connection: number;
  readonly from: 'client' | 'broker';
  readonly packet: P;
}

export interface MqttWire {
  readonly url: string;
  /** What was carried so far, in the order of arrival. */
  all<C extends Command>(from: 'client' | 'broker', command: C): Carried<PacketOf<C>>[];
  /** Calls the listener with each packet that a client sends, when it arrives and before the broker has it. */
  onSent(listener: (carried: Carried) => void): void;
  /** Resolves when so many packets of that kind have been carried. */
  carried(from: 'client' | 'broker', command: Command, count: number): Promise<void>;
  /** Ends every connection as a line that fails does. New ones can be made. */
  cut(): void;
  stop(): Promise<void>;
}

/** @param version - 5, or 3.1.1's 4: what the broker's packets are read as */
export async function startMqttWire(target: string, version: 4 | 5): Promise<MqttWire> {
  const port = Number(new URL(target).port);
  const sockets = new Set<Socket>();
  const log: Carried[] = [];
  const changes = new EventEmitter().setMaxListeners(0);
  let connections = 0;

  const server = createServer((client) => {
    const connection = connections++;
    const broker = connect(port, '127.0.0.1');
    for (const [from, source, sink] of [
      ['client', client, broker],
      ['broker', broker, client],
    ] as const) {
      sockets.add(source);
      const parser = mqttPacket.parser({ protocolVersion: version });
      parser.on('packet', (packet: Packet) => {
        const carried: Carried = { connection, from, packet };
        log.push(carried);
        changes.emit(from, carried);
        changes.emit('change');
      });
      source.on('data', (chunk: Buffer) => {
        parser.parse(chunk);
        if (!sink.write(chunk)) source.pause();
      });
      sink.on('drain', () => source.resume());
      source.on('end', () => sink.end());
      source.on('error', () => sink.destroy());
      source.on('close', () => {
        sockets.delete(source);
        // What was sent before an end in order must arrive: destroyed with something unread, the other side would lose it.
        if (source.readableEnded) sink.end();
        else sink.destroy();
      });
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  const all = <C extends Command>(from: 'client' | 'broker', command: C): Carried<PacketOf<C>>[] =>
    log.flatMap((one) => {
      const { packet } = one;
      return one.from === from && isOf(packet, command) ? [{ ...one, packet }] : [];
    });
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`,
    all,
    onSent: (listener) => void changes.on('client', listener),
    carried: async (from, command, count) => {
      while (all(from, command).length < count) await once(changes, 'change');
    },
    cut,
    stop: async () => {
      const closed = once(server, 'close');
      server.close();
      cut();
      await closed;
    },
  };
}

function isOf<C extends Command>(packet: Packet, command: C): packet is PacketOf<C> {
  return packet.cmd === command;
}
