/**
 * The three things that can be wrong, one class for each thing that the caller can do about it.
 * Every message says what was expected and what was got; none holds a secret.
 */

export interface SluiceErrorOptions {
  /** A stable name for this error, `kebab-case`, unique within its class: what counters and tests refer to. */
  readonly code: string;
  readonly cause?: unknown;
}

/** The name of its class. A palette may be there twice in one process (beside Node-RED, and in the user folder). */
const KIND = Symbol.for('sluice.error');

abstract class SluiceError extends Error {
  readonly code: string;

  /** By name, so that an error of another copy of this module is told what it is. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    const kind = (value as { [KIND]?: string } | null | undefined)?.[KIND];
    return kind !== undefined && (this.name === kind || this.name === SluiceError.name);
  }

  constructor(message: string, options: SluiceErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    Object.defineProperty(this, KIND, { value: new.target.name });
    this.code = options.code;
  }
}

/** Thrown when a setting is wrong: somebody has to change the setting; trying again does not help. */
export class ConfigError extends SluiceError {
  /** Where: a path into the node's settings (`/rules/0/topic`), or `''` for the whole. */
  readonly path: string;

  constructor(message: string, options: SluiceErrorOptions & { readonly path?: string }) {
    super(message, options);
    this.path = options.path ?? '';
  }
}

/** Thrown when a server or disk cannot be used at the moment: the same call may succeed later. */
export class UnavailableError extends SluiceError {}

/** Thrown when this one item will never be accepted: it must not be tried again. */
export class RejectedError extends SluiceError {
  /** What a reader of the rejected output needs beside the sentence; becomes part of `msg.rejection`. */
  readonly details: Readonly<Record<string, unknown>>;

  constructor(message: string, options: SluiceErrorOptions & { readonly details?: Readonly<Record<string, unknown>> }) {
    super(message, options);
    this.details = options.details ?? {};
  }
}

/** What a node that is not ours has reported, or why it has not done with a message. */
export class NodeError extends SluiceError {}

/** What counters and dead letters call an error: the code of one of ours, else its name. */
export function reasonCode(error: Error): string {
  return error instanceof SluiceError ? error.code : error.name;
}

/** The sentence of anything that was thrown. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node's connect errors on a name with several addresses are an AggregateError with an empty message.
  if (error.message === '' && error instanceof AggregateError) return error.errors.map(messageOf).join('; ');
  return error.message;
}

/** A short picture of a value for an "expected …, got …" sentence: its type and, where short, itself. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return `an array of ${value.length}`;
  if (value instanceof Uint8Array) return `a buffer of ${value.length} bytes`;
  if (typeof value === 'object') return 'an object';
  if (typeof value === 'string')
    return value.length <= 60 ? JSON.stringify(value) : `${JSON.stringify(value.slice(0, 57))}…`;
  // eslint-disable-next-line @typescript-eslint/no-base-to-string -- only primitives are left
  return `${typeof value} ${String(value)}`;
}
