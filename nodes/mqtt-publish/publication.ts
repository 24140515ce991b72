import { describeValue, messageOf, RejectedError } from '../lib/errors.js';
import type { Message } from '../lib/message.js';
import { templateScope } from '../lib/scope.js';
import type { Publication } from '../sluice-mqtt-broker/outbox.js';
import type { Config } from './config.js';
import { compileProperties } from './properties.js';
import { checkedTopic, compileText } from './text.js';

/** @throws RejectedError for a message that MQTT cannot carry */
export type PublicationOf = (message: Message) => Publication;

/**
 * Makes a PUBLISH of a message. What the form says comes before what the message says. All that it gives is what MQTT can
 * carry: a packet that is not would end the connection, and be sent again on the next one.
 *
 * @throws ConfigError `setting` for a fixed text that no message can have
 */
export function compilePublication(config: Config, instance: string): PublicationOf {
  const topicText = compileText(config.topic, 'topic');
  const payloadText = compileText(config.payload, 'payload');
  const propertiesOf = compileProperties(config);
  return (message) => {
    const scope = templateScope(message, { instance, receivedAt: message.receivedAt ?? Date.now() });
    return {
      topic: checkedTopic(topicText(scope) ?? message.topic, 'topic'),
      payload: payloadText(scope) ?? payloadOf(message.payload),
      qos: config.qos === 'message' ? qosOf(message.qos) : config.qos,
      retain: config.retain === 'message' ? retainOf(message.retain) : config.retain,
      properties: propertiesOf(message, scope),
    };
  };
}

function payloadOf(payload: unknown): Buffer | string {
  if (typeof payload === 'string') return payload;
  if (payload instanceof Uint8Array) return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (typeof payload === 'number' || typeof payload === 'boolean' || typeof payload === 'bigint')
    return String(payload);
  let json: string | undefined;
  try {
    json = jsonOf(payload);
  } catch (error) {
    throw new RejectedError(`expected a payload that JSON can hold, got one that it cannot: ${messageOf(error)}`, {
      code: 'not-json',
      cause: error,
    });
  }
  if (json !== undefined) return json;
  throw new RejectedError(
    `expected msg.payload to be a text, a buffer, a number, a boolean or what JSON can hold ("" for an empty one), got ${
      payload === undefined ? 'nothing' : `a ${typeof payload}`
    }`,
    { code: 'no-payload' },
  );
}

/** undefined for what JSON leaves out: undefined, a function, a symbol. */
function jsonOf(value: unknown): string | undefined {
  return JSON.stringify(value);
}

function qosOf(qos: unknown): 0 | 1 | 2 {
  if (qos === undefined || qos === null || qos === '') return 1;
  const number = typeof qos === 'string' ? Number(qos) : qos;
  if (number === 0 || number === 1 || number === 2) return number;
  throw new RejectedError(`expected msg.qos to be 0, 1 or 2, got ${describeValue(qos)}`, { code: 'qos' });
}

function retainOf(retain: unknown): boolean {
  if (retain === undefined || retain === null || retain === '') return false;
  if (typeof retain === 'boolean') return retain;
  if (retain === 'true' || retain === 'false') return retain === 'true';
  throw new RejectedError(`expected msg.retain to be true or false, got ${describeValue(retain)}`, { code: 'retain' });
}
