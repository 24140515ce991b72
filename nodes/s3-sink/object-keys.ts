import { randomUUID } from 'node:crypto';
import { ConfigError, RejectedError } from '../lib/errors.js';
import { uuidv7 } from '../lib/identity.js';
import type { Message } from '../lib/message.js';
import { encodeKeyPart, objectKeyProblem } from '../lib/object-key.js';
import { templateScope } from '../lib/scope.js';
import { compilePath, compileTemplate, type Template } from '../lib/template.js';
import { parseTime } from '../lib/time.js';
import type { Config } from './config.js';
import { suffixProblem } from './object-suffix.js';

const HOUR_MS = 3_600_000;
/** Stands for {batch} in a partition, until an object begins. Neither a key nor an encoded value has it. */
const SLOT = '\0';
/** For what says when and where a message came, and not what it is. */
const ANY = { instance: '-', suffix: '-', batch: '-', year: '-', month: '-', day: '-', hour: '-' };

type HiveFields = Readonly<Record<'year' | 'month' | 'day' | 'hour', string>>;

/** Which object a message belongs to. */
export interface Place {
  /** The same for all messages that may share an object. */
  readonly partition: string;
  /** The event time, else that of the receipt, in milliseconds since 1970-01-01T00:00Z. */
  readonly time: number;
  /** Whether the message was to say when it happened, and did not, or said something impossible. */
  readonly eventTimeMissing: boolean;
}

/** The keys of a sink's objects: a template with Hive partitions by event time. */
export class ObjectKeys {
  readonly #template: Template;
  readonly #readEventTime: ((scope: unknown) => unknown) | undefined;
  /** Goes through the encoding as it is. Unguessable, so that no value of a message is taken for it. */
  readonly #slot = randomUUID();
  /** Fields of the template that are no message's. */
  readonly #own: object;
  #hour = { number: 0, fields: hiveFields(new Date(0)) };

  /** @throws ConfigError when no message could have a right key, or two objects could have one */
  constructor(config: Config, suffix: string, instance: string) {
    const { key, eventTime } = config;
    this.#template = compileTemplate(key);
    this.#readEventTime = eventTime === undefined ? undefined : compilePath(eventTime);
    this.#own = { instance, suffix, batch: this.#slot };
    if (!this.#template.roots.includes('batch') || !key.includes('{batch}')) {
      throw wrongKey(
        `expected {batch} in the key, without which objects replace each other, got ${JSON.stringify(key)}`,
      );
    }
    const problem = suffixProblem(config, suffix) ?? objectKeyProblem(key.replace(/\{[^{}]+\}/g, 'x'));
    if (problem !== undefined) throw wrongKey(problem);
  }

  /**
   * @param receivedAt - milliseconds since 1970-01-01T00:00Z, in our era
   * @throws RejectedError `key-field` when the message lacks a field of the template
   */
  place(message: Message, receivedAt: number): Place {
    const scope = templateScope(message, this.#own);
    const eventTime = parseTime(this.#readEventTime?.(scope));
    const possible = eventTime !== undefined && isInOurEra(eventTime.getTime());
    const time = possible ? eventTime.getTime() : receivedAt;
    const partition = this.#template.render(Object.assign(scope, this.#hiveFields(time)), encodeKeyPart);
    if (partition === undefined) {
      throw new RejectedError(
        `expected every field of the object key ${JSON.stringify(this.#template.text)} in the message, got one missing`,
        { code: 'key-field' },
      );
    }
    return {
      partition: partition.replaceAll(this.#slot, SLOT),
      time,
      eventTimeMissing: this.#readEventTime !== undefined && !possible,
    };
  }

  /**
   * A new object's key: unique over instances and restarts, and in the order of time. It stays the object's however often
   * it is tried, so that an attempt of which the answer was lost leaves no second object.
   *
   * @throws RejectedError `key` when the values of the message make no key, or one that leaves its folder
   */
  newKey(partition: string, nowMs: number): string {
    const batch = uuidv7(nowMs);
    const key = partition.replaceAll(SLOT, batch);
    const problem = objectKeyProblem(key);
    if (problem !== undefined) throw new RejectedError(problem.replaceAll(batch, '{batch}'), { code: 'key' });
    return key;
  }

  /** The key without its time: a message that comes again, in another hour, is the same one for all that. */
  placeOf(message: Message): string {
    return this.#template.render(templateScope(message, ANY), encodeKeyPart) ?? '';
  }

  /** Remembers the last hour: most messages are of one, and writing a date takes a microsecond. */
  #hiveFields(time: number): HiveFields {
    const hour = Math.floor(time / HOUR_MS);
    if (hour !== this.#hour.number) this.#hour = { number: hour, fields: hiveFields(new Date(time)) };
    return this.#hour.fields;
  }
}

/** Whether a time has four digits of year, which is what readers of partitions expect, and is not before 1970. */
export function isInOurEra(milliseconds: number): boolean {
  return milliseconds >= 0 && milliseconds < Date.UTC(10_000, 0);
}

function hiveFields(date: Date): HiveFields {
  const iso = date.toISOString();
  return { year: iso.slice(0, 4), month: iso.slice(5, 7), day: iso.slice(8, 10), hour: iso.slice(11, 13) };
}

function wrongKey(sentence: string): ConfigError {
  return new ConfigError(`/key: ${sentence}`, { code: 'key', path: '/key' });
}
