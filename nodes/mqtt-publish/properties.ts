import { ConfigError, describeValue, RejectedError } from '../lib/errors.js';
import { identityOf, MESSAGE_ID } from '../lib/identity.js';
import type { Message } from '../lib/message.js';
import { compileTemplate, type Template } from '../lib/template.js';
import type { PublishProperties } from '../sluice-mqtt-broker/outbox.js';
import type { Config } from './config.js';
import { checkedTopic, compileText, MAX_BYTES, textProblem } from './text.js';

const MAX_SECONDS = 4_294_967_295;

/**
 * Makes the MQTT 5 properties of a message: those of the form, else the message's own, by the names that the core nodes use.
 *
 * @throws ConfigError `setting` for a fixed text that no message can have
 */
export function compileProperties(config: Config): (message: Message, scope: object) => PublishProperties {
  const contentType = compileText(config.contentType, 'contentType', textProblem);
  const responseTopic = compileText(config.responseTopic, 'responseTopic');
  const correlationData = compileText(config.correlationData, 'correlationData');
  const userPropertiesOf = compileUserProperties(config);
  return (message, scope) => {
    const properties: PublishProperties = {};
    const type = contentType(scope) ?? given(message.contentType);
    if (type !== undefined) properties.contentType = checkedText(type, 'content-type', 'the content type');
    const expiry = config.messageExpiry ?? given(message.messageExpiryInterval);
    if (expiry !== undefined) properties.messageExpiryInterval = checkedSeconds(expiry);
    const answers = responseTopic(scope) ?? given(message.responseTopic);
    if (answers !== undefined) properties.responseTopic = checkedTopic(answers, 'response-topic');
    const correlation = correlationData(scope) ?? given(message.correlationData);
    if (correlation !== undefined) properties.correlationData = checkedBytes(correlation);
    const users = userPropertiesOf(message, scope);
    if (users.size > 0) properties.userProperties = Object.fromEntries(users);
    return properties;
  };
}

type UserProperties = Map<string, string | string[]>;

function compileUserProperties(config: Config): (message: Message, scope: object) => UserProperties {
  const rows = config.userProperties.map(({ name, value }, index): [string, Template] => {
    const path = `/userProperties/${index}/name`;
    const problem = textProblem(name);
    if (problem !== undefined) throw new ConfigError(`${path}: ${problem}`, { code: 'setting', path });
    return [name, compileTemplate(value)];
  });
  return (message, scope) => {
    const all: UserProperties = new Map(ownUserProperties(message));
    for (const [name, template] of rows) {
      const value = template.render(scope);
      if (value !== undefined) all.set(name, checkedUserText(name, value));
    }
    const identity = identityOf(message);
    if (config.messageId && identity !== undefined) {
      all.set(MESSAGE_ID, checkedUserText(MESSAGE_ID, identity));
    }
    return all;
  };
}

function ownUserProperties(message: Message): [string, string | string[]][] {
  const own = given(message.userProperties);
  if (own === undefined) return [];
  if (typeof own !== 'object' || own === null || Array.isArray(own)) {
    throw new RejectedError(`expected msg.userProperties to be an object of texts, got ${describeValue(own)}`, {
      code: 'user-properties',
    });
  }
  return Object.entries(own).map(([name, value]) => {
    checkedText(name, 'user-properties', 'the name of a user property');
    return [name, Array.isArray(value) ? value.map((one) => checkedUserText(name, one)) : checkedUserText(name, value)];
  });
}

function checkedUserText(name: string, value: unknown): string {
  return checkedText(value, 'user-properties', `the user property ${describeValue(name)}`);
}

function checkedText(value: unknown, code: string, what: string): string {
  const problem = typeof value === 'string' ? textProblem(value) : `expected a text, got ${describeValue(value)}`;
  if (problem === undefined) return value as string;
  throw new RejectedError(`${what}: ${problem}`, { code });
}

function checkedSeconds(value: unknown): number {
  const seconds = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof seconds === 'number' && Number.isInteger(seconds) && seconds >= 0 && seconds <= MAX_SECONDS)
    return seconds;
  throw new RejectedError(
    `the message expiry: expected whole seconds from 0 to ${MAX_SECONDS}, got ${describeValue(value)}`,
    {
      code: 'message-expiry',
    },
  );
}

function checkedBytes(value: unknown): Buffer {
  const bytes = typeof value === 'string' || value instanceof Uint8Array ? Buffer.from(value as string) : undefined;
  if (bytes !== undefined && bytes.length <= MAX_BYTES) return bytes;
  const got = bytes === undefined ? describeValue(value) : `${bytes.length} bytes`;
  throw new RejectedError(
    `the correlation data: expected a buffer or a text of at most ${MAX_BYTES} bytes, got ${got}`,
    {
      code: 'correlation-data',
    },
  );
}

/** A form or a function node leaves '' or null where there is nothing. */
function given(value: unknown): unknown {
  return value === null || value === '' ? undefined : value;
}
