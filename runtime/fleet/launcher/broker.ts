import { UserError } from '../../launcher/user-error.js';

/** The broker's address. @throws UserError where the fleet would be on the embedded one */
export function expectBroker(url: string | undefined): string {
  if (url !== undefined) return url;
  throw new UserError(
    'expected MQTT_URL to name a broker with shared subscriptions, by which a fleet divides its messages, got nothing: ' +
      'the embedded one has none. Use mosquitto, HiveMQ, EMQX, VerneMQ or NanoMQ',
  );
}
