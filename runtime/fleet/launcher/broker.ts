import { withoutSecrets } from '../../launcher/shown-url.js';
import { UserError } from '../../launcher/user-error.js';

const BROKERS = 'mosquitto, HiveMQ, EMQX, VerneMQ or NanoMQ';

/** The broker's address, when it is not the embedded one. @throws UserError */
export function expectBroker(url: string | undefined): string {
  if (url !== undefined) return url;
  throw new UserError(
    'expected MQTT_URL to name a broker with shared subscriptions, by which a fleet divides its messages, got nothing: ' +
      `the embedded one has none. Use ${BROKERS}`,
  );
}

/** @throws UserError */
export function sharesNot(url: string): UserError {
  return new UserError(
    `expected a broker with shared subscriptions, by which a fleet divides its messages, got ${withoutSecrets(url)}, which ` +
      `has not delivered a probe message to one: use ${BROKERS}`,
  );
}
