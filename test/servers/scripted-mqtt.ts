/**
 * A stand-in for an MQTT broker that shows each packet as it arrives and answers as a test says: for what a real one
 * shows nobody (a CONNECT), and for answers that it cannot be brought to give (a SUBACK that waits, a PUBACK of another
 * code). It routes nothing.
 */
import { EventEmitter, once } from 'node:events';
import { createRequire } from 'node:module';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import type { Packet } from 'mqtt';

/** The packets of MQTT, read and written by what mqtt.js itself uses. */
export const mqttPacket = createRequire(createRequire(import.meta.url).resolve('mqtt'))('mqtt-packet') as {
  parser(options?: { protocolVersion: number }): EventEmitter & { parse(chunk: Buffer): void };
  generate(packet: object, options: object): Buffer;
};

type Command = Packet['cmd'];
export type PacketOf<C extends Command> = Extract<Packet, { cmd: C }>;

export interface ScriptedClient {
  readonly connect: PacketOf<'connect'>;
  send(packet: object): void;
  /** Ends the connection when what was sent is written. */
  end(): void;
  /** Ends the connection as a crash does. */
  hangUp(): void;
  /** Takes nothing in any more: what the client writes fills its buffers. */
  stopReading(): void;
}

type Answer<C extends Command> = (packet: PacketOf<C>, client: ScriptedClient) => void;

export interface ScriptedMqtt {
  readonly url: string;
  /** Every packet of that kind so far, of all clients, in the order of arrival. */
  all<C extends Command>(command: C): PacketOf<C>[];
  /** The first `count` packets of that kind, when they have arrived. */
  arrived<C extends Command>(
    command: C,
    count?: number,
    which?: (packet: PacketOf<C>) => boolean,
  ): Promise<PacketOf<C>[]>;
  /** Answers packets of that kind from now on. Otherwise everything is granted and acknowledged at once. */
  answer<C extends Command>(command: C, answer: Answer<C>): void;
  /** Those that are connected. */
  clients(): ScriptedClient[];
  /** Resolves when no client is connected. */
  deserted(): Promise<void>;
  /** Forgets the packets so far, and grants everything again. */
  reset(): void;
  stop(): Promise<void>;
}

const GRANT: { readonly [C in Command]?: Answer<C> } = {
  connect: (_packet, client) => client.send({ cmd: 'connack', reasonCode: 0, returnCode: 0, sessionPresent: false }),
  subscribe: ({ messageId, subscriptions }, client) =>
    client.send({ cmd: 'suback', messageId, granted: subscriptions.map(({ qos }) => qos) }),
  unsubscribe: ({ messageId, unsubscriptions }, client) =>
    client.send({ cmd: 'unsuback', messageId, granted: unsubscriptions.map(() => 0) }),
  publish: ({ qos, messageId }, client) => {
    if (qos > 0) client.send({ cmd: qos === 1 ? 'puback' : 'pubrec', messageId });
  },
  pubrel: ({ messageId }, client) => client.send({ cmd: 'pubcomp', messageId }),
  pingreq: (_packet, client) => client.send({ cmd: 'pingresp' }),
};

export async function startScriptedMqtt(): Promise<ScriptedMqtt> {
  const sockets = new Map<Socket, ScriptedClient | undefined>();
  const packets: Packet[] = [];
  let answers: { [C in Command]?: Answer<C> } = { ...GRANT };
  const changes = new EventEmitter().setMaxListeners(0);

  const server = createServer((socket) => {
    sockets.set(socket, undefined);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      sockets.delete(socket);
      changes.emit('change');
    });
    const incoming = mqttPacket.parser();
    incoming.on('packet', (packet: Packet) => {
      if (packet.cmd === 'connect') sockets.set(socket, clientOf(socket, packet));
      const client = sockets.get(socket);
      packets.push(packet);
      changes.emit('change');
      const answer = answers[packet.cmd] as Answer<Command> | undefined;
      if (client !== undefined) answer?.(packet, client);
    });
    socket.on('data', (chunk) => incoming.parse(chunk));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  const all = <C extends Command>(command: C): PacketOf<C>[] =>
    packets.filter((packet): packet is PacketOf<C> => packet.cmd === command);

  return {
    url: `mqtt://127.0.0.1:${(server.address() as AddressInfo).port}`,
    all,
    arrived: async (command, count = 1, which = () => true) => {
      for (;;) {
        const those = all(command).filter(which);
        if (those.length >= count) return those.slice(0, count);
        await once(changes, 'change');
      }
    },
    answer: (command, answer) => {
      Object.assign(answers, { [command]: answer });
    },
    clients: () => [...sockets.values()].filter((client) => client !== undefined),
    reset: () => {
      packets.length = 0;
      answers = { ...GRANT };
    },
    deserted: async () => {
      while (sockets.size > 0) await once(changes, 'change');
    },
    stop: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets.keys()) socket.destroy();
      await closed;
    },
  };
}

function clientOf(socket: Socket, connect: PacketOf<'connect'>): ScriptedClient {
  const { protocolVersion = 4 } = connect;
  return {
    connect,
    send: (packet) => {
      if (!socket.destroyed) socket.write(mqttPacket.generate(packet, { protocolVersion }));
    },
    end: () => socket.end(),
    hangUp: () => socket.destroy(),
    stopReading: () => socket.pause(),
  };
}
