import { randomUUID } from 'node:crypto';
import { Counters, MqttBroker } from '@sluice/node-red/simulator';

const KEEPALIVE_S = 30;

export interface SimulationBrokerOptions {
  readonly protocol: 'auto' | '5' | '3.1.1';
  /** Seconds for which the broker keeps its session: what has no answer when a connection ends is answered in the next. */
  readonly session?: number;
}

/** The palette's own client, with its reconnecting and its window. The login is of the URL or the environment. */
export function simulationBroker(url: string, { protocol, session = 0 }: SimulationBrokerOptions): MqttBroker {
  const { SLUICE_MQTT_USER: user, SLUICE_MQTT_PASSWORD: password } = process.env;
  return new MqttBroker({
    id: 'simulate',
    instance: randomUUID(),
    config: {
      configVersion: 1,
      url,
      protocol,
      cleanStart: session === 0,
      sessionExpiry: session,
      keepalive: KEEPALIVE_S,
      verify: true,
      topicAliases: false,
      will: { payload: '', qos: 0, retain: false, delay: 0 },
    },
    credentials: { ...(user !== undefined && { user }), ...(password !== undefined && { password }) },
    counters: new Counters(),
    status: () => undefined,
    log: () => undefined,
  });
}
