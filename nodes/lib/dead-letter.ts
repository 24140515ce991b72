import { deserialize, serialize } from 'node:v8';
import { messageOf, reasonCode, RejectedError } from './errors.js';
import type { Message, Rejection } from './message.js';

/** A message that no node would take, as it is kept: version 1 of the form. */
export interface DeadLetter {
  readonly version: 1;
  /** A UUIDv7, given by the queue: of one queue and process, in the order in which the letters came. */
  readonly id: string;
  /** When the node gave the message up: ISO 8601, UTC. */
  readonly at: string;
  readonly reason: DeadLetterReason;
  /** The node that failed. */
  readonly node: Rejection['node'];
  readonly flow: {
    /** Node-RED's revision of the flows that ran. */
    readonly revision: string;
    /** The id of the tab, group or subflow instance that holds the node. */
    readonly tab: string;
  };
  readonly instance: string;
  /** Of the process: new at each start. */
  readonly runId: string;
  /** As it entered the node that failed. */
  readonly message: DeadMessage;
}

export interface DeadLetterReason {
  /** As in the node's counters. */
  readonly code: string;
  readonly message: string;
  /** The schema that refused it, where one did. */
  readonly schema?: { readonly name: string; readonly version: string };
  /** What else the node said. */
  readonly details?: EncodedValue;
}

/** A letter before its queue has it. */
export type DeadLetterDraft = Omit<DeadLetter, 'id'>;

/** What stores look for stands by itself; names and values that a flow makes up are texts, which every store takes. */
export interface DeadMessage {
  readonly topic?: string;
  readonly identity?: string;
  readonly payload?: EncodedValue;
  readonly properties: readonly ({ readonly name: string } & EncodedValue)[];
  /** Properties that cannot be kept: the sockets of an HTTP request, functions. */
  readonly omitted?: readonly string[];
}

/**
 * A value as text, exactly. `text`: a string. `json`: what JSON gives back as it was. `base64`: bytes. `v8`: anything
 * else (dates, big integers, NaN, …), in base64 as `node:v8` serializes it.
 */
export interface EncodedValue {
  readonly encoding: 'text' | 'json' | 'base64' | 'v8';
  readonly data: string;
}

/** Which letters. What is not given does not matter. */
export interface LetterFilter {
  readonly ids?: readonly string[];
  /** The code of the reason. */
  readonly reason?: string;
  /** The id, the name or the type of the node that failed. */
  readonly node?: string;
  /** The name of the schema that refused the message. */
  readonly schema?: string;
  /** ISO 8601, UTC; `since` is part of the time, `until` is not. */
  readonly since?: string;
  readonly until?: string;
  /** Also those that have been replayed. */
  readonly replayed?: boolean;
}

/** Where dead letters are kept: the behaviour of a `dead-letter-queue`, as other nodes see it. */
export abstract class DeadLetters {
  static readonly nodeType = 'dead-letter-queue';

  /**
   * Resolves when the letter is durable.
   *
   * @throws UnavailableError when the queue is full, or closed before the store answered
   * @throws RejectedError when the store refuses this letter
   */
  abstract keep(letter: DeadLetterDraft): Promise<void>;

  /**
   * The last letters that a filter finds, the newest first; fewer where they are large.
   *
   * @throws UnavailableError
   */
  abstract find(filter: LetterFilter, count: number): Promise<DeadLetter[]>;

  /** Says of letters that their messages have been replayed. @throws UnavailableError */
  abstract markReplayed(ids: readonly string[]): Promise<void>;
}

/** What a node adds to its message to make it a letter. */
export interface Origin {
  readonly node: Rejection['node'];
  readonly tab: string;
  readonly revision: string;
  readonly instance: string;
  readonly runId: string;
}

/** @throws RejectedError `cannot-be-kept` when the payload has no form that could be kept: it holds functions, or is too deep */
export function deadLetter(message: Message, reason: DeadLetterReason, origin: Origin, nowMs: number): DeadLetterDraft {
  return {
    version: 1,
    at: new Date(nowMs).toISOString(),
    reason,
    node: origin.node,
    flow: { revision: origin.revision, tab: origin.tab },
    instance: origin.instance,
    runId: origin.runId,
    message: deadMessage(message),
  };
}

/** The reason of an error that a node has thrown. */
export function reasonOf(error: Error): DeadLetterReason {
  if (!(error instanceof RejectedError)) return { code: reasonCode(error), message: error.message };
  return rejectionReason({ ...error.details, code: error.code, message: error.message });
}

/** The reason of a `msg.rejection`. */
export function rejectionReason(rejection: Omit<Rejection, 'node'>): DeadLetterReason {
  const { code, message, node: _node, schema, ...details } = rejection as Rejection;
  return {
    code,
    message,
    ...(isSchemaName(schema) && { schema: { name: schema.name, version: schema.version } }),
    ...(Object.keys(details).length > 0 && { details: encode(details) }),
  };
}

function isSchemaName(value: unknown): value is { name: string; version: string } {
  const { name, version } = (value ?? {}) as { name?: unknown; version?: unknown };
  return typeof name === 'string' && typeof version === 'string';
}

function deadMessage(message: Message): DeadMessage {
  // `_msgid` belongs to one way through the flow: a message that comes again has another.
  const { _msgid, topic, identity, payload, ...others } = message;
  const properties: ({ name: string } & EncodedValue)[] = [];
  const omitted: string[] = [];
  for (const [name, value] of Object.entries(others)) {
    try {
      properties.push({ name, ...encode(value) });
    } catch {
      omitted.push(name);
    }
  }
  return {
    ...(typeof topic === 'string' && { topic }),
    ...(typeof identity === 'string' && { identity }),
    ...(payload !== undefined && { payload: encodePayload(payload) }),
    properties,
    ...(omitted.length > 0 && { omitted }),
  };
}

function encodePayload(payload: unknown): EncodedValue {
  try {
    return encode(payload);
  } catch (error) {
    throw new RejectedError(`expected a payload that can be kept, got one that cannot: ${messageOf(error)}`, {
      code: 'cannot-be-kept',
      cause: error,
    });
  }
}

/** The message of a letter, as it entered the node that failed. */
export function messageOfLetter({ message }: Pick<DeadLetter, 'message'>): Message {
  const { topic, identity, payload, properties } = message;
  return {
    ...(topic !== undefined && { topic }),
    ...(identity !== undefined && { identity }),
    ...(payload !== undefined && { payload: decode(payload) }),
    ...Object.fromEntries(properties.map(({ name, ...value }) => [name, decode(value)])),
  };
}

/** @throws Error for what is no value in this form */
export function decode({ encoding, data }: EncodedValue): unknown {
  switch (encoding) {
    case 'text':
      return data;
    case 'json':
      return JSON.parse(data);
    case 'base64':
      return Buffer.from(data, 'base64');
    case 'v8':
      return deserialize(Buffer.from(data, 'base64'));
  }
}

/** Whether a filter finds a letter; of `replayed` the letter itself knows nothing. */
export function fits(letter: DeadLetter, { ids, reason, node, schema, since, until }: LetterFilter): boolean {
  const { id, name, type } = letter.node;
  return (
    (ids === undefined || ids.includes(letter.id)) &&
    (reason === undefined || letter.reason.code === reason) &&
    (node === undefined || [id, name, type].includes(node)) &&
    (schema === undefined || letter.reason.schema?.name === schema) &&
    (since === undefined || letter.at >= since) &&
    (until === undefined || letter.at < until)
  );
}

/** @throws Error for functions, and what is nested too deep */
function encode(value: unknown): EncodedValue {
  // A string with half of a surrogate pair is none in UTF-8; JSON escapes it.
  if (typeof value === 'string' && value.isWellFormed()) return { encoding: 'text', data: value };
  if (value instanceof Uint8Array) return { encoding: 'base64', data: base64(value) };
  if (isJson(value)) return { encoding: 'json', data: JSON.stringify(value) };
  return { encoding: 'v8', data: base64(serialize(value)) };
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** Whether JSON gives a value back as it was. */
function isJson(value: unknown): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true;
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0);
    case 'object':
      if (value === null) return true;
      // Names that begin an array's holes or stand beside its items are lost in JSON.
      if (Array.isArray(value)) return Object.keys(value).length === value.length && value.every(isJson);
      // By tag, not by prototype: what a function node makes is of another realm.
      return (
        Object.prototype.toString.call(value) === '[object Object]' &&
        typeof (value as { toJSON?: unknown }).toJSON !== 'function' &&
        Object.values(value).every(isJson)
      );
    default:
      return false;
  }
}
