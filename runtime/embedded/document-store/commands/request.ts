/** A command as it came, and what is read from it. */
import { decodeCommand, rawDocuments } from '../bson/decode.js';
import { wholeNumber } from '../bson/numbers.js';
import { display, isDoc, isNumeric, typeOf, type Doc, type Value } from '../bson/values.js';
import { CommandError, notImplemented } from '../errors.js';
import type { Message } from '../protocol/wire.js';
import { truthy } from '../query/expression.js';
import { checkCollectionName, checkDatabaseName } from '../storage/identity.js';

/** What any command may say without a difference to its answer here. */
const HARMLESS = new Set([
  '$db',
  '$clusterTime',
  '$readPreference',
  'lsid',
  'comment',
  // A time limit is not kept: a command takes the time that it takes.
  'maxTimeMS',
  'apiStrict',
  'apiDeprecationErrors',
]);

export class Request {
  readonly name: string;
  readonly db: string;
  readonly #body: Doc;
  readonly #message: Message;

  /** Throws for what is no command. */
  constructor(message: Message) {
    this.#message = message;
    const body = decodeCommand(message.body);
    const query = message.queried === undefined ? undefined : body.get('$query');
    this.#body = isDoc(query) ? query : body;
    const [name = ''] = this.#body.keys();
    this.name = name;
    const db = message.queried === undefined ? this.#body.get('$db') : message.queried.replace(/\.\$cmd$/, '');
    if (typeof db !== 'string') throw new CommandError(40571, 'OP_MSG requests require a $db argument');
    checkDatabaseName(db);
    this.db = db;
  }

  /**
   * Refuses what would change the answer and is not among the fields that the command reads, and checks those that all
   * commands share.
   */
  check(fields: readonly string[]): void {
    for (const [field, value] of this.#body) {
      if (field === this.name || fields.includes(field) || HARMLESS.has(field)) continue;
      this.#checkShared(field, value);
    }
    for (const field of this.#message.sequences.keys()) {
      if (!fields.includes(field)) throw notImplemented(`'${this.name}.${field}'`);
    }
  }

  #checkShared(field: string, value: Value): void {
    switch (field) {
      case 'txnNumber':
      case 'autocommit':
      case 'startTransaction':
        // In the words of a standalone mongod, by which drivers recognise it.
        throw new CommandError(
          'IllegalOperation',
          'Transaction numbers are only allowed on a replica set member or mongos',
        );
      case 'readConcern':
        checkReadConcern(value);
        return;
      case 'writeConcern':
        checkWriteConcern(value);
        return;
      case 'collation':
        checkCollation(value);
        return;
      case 'apiVersion':
        if (value !== '1') throw new CommandError(322, 'API version must be "1"');
        return;
      default:
        // Options that are turned off, or empty, ask for nothing.
        if (value === false || value === null || (isDoc(value) && value.size === 0)) return;
        throw notImplemented(`'${this.name}.${field}'`);
    }
  }

  get(field: string): Value | undefined {
    return this.#body.get(field) ?? undefined;
  }

  has(field: string): boolean {
    return this.#body.has(field);
  }

  /** The collection that the command is about. Throws InvalidNamespace. */
  collection(field = this.name): string {
    const name = this.get(field);
    if (typeof name !== 'string') {
      throw new CommandError('InvalidNamespace', `collection name has invalid type ${typeOf(name).alias}`);
    }
    checkCollectionName(this.db, name);
    return name;
  }

  doc(field: string): Doc | undefined {
    const value = this.get(field);
    if (value === undefined || isDoc(value)) return value;
    throw this.#wrongType(field, value, 'object');
  }

  array(field: string): Value[] {
    const value = this.get(field);
    if (Array.isArray(value)) return value;
    throw this.#wrongType(field, value, 'array');
  }

  text(field: string): string {
    const value = this.get(field);
    if (typeof value === 'string') return value;
    throw this.#wrongType(field, value, 'string');
  }

  /** Absent is false; a number is true when it is not zero. */
  flag(field: string): boolean {
    const value = this.get(field);
    if (value !== undefined && typeof value !== 'boolean' && !isNumeric(value))
      throw this.#wrongType(field, value, 'bool');
    return truthy(value);
  }

  whole(field: string): number | undefined {
    const value = this.get(field);
    if (value === undefined) return undefined;
    const number = wholeNumber(value);
    if (number === undefined) throw this.#wrongType(field, value, 'a whole number');
    return number;
  }

  /** As `whole`, not below zero. */
  count(field: string): number | undefined {
    const number = this.whole(field);
    if (number !== undefined && number < 0) {
      throw new CommandError(51024, `BSON field '${field}' value must be >= 0, actual value '${number}'`);
    }
    return number;
  }

  long(field: string): bigint {
    const value = this.get(field);
    if (typeof value === 'bigint') return value;
    const number = wholeNumber(value);
    if (number === undefined) throw this.#wrongType(field, value, 'long');
    return BigInt(number);
  }

  /** The documents of a bulk field, as a sequence or in the body, as the bytes that they came in. */
  documents(field: string): readonly Buffer[] {
    const documents = this.#message.sequences.get(field) ?? rawDocuments(this.#message.body, field);
    if (documents === undefined) {
      throw new CommandError(40414, `BSON field '${this.name}.${field}' is missing but a required field`);
    }
    return documents;
  }

  #wrongType(field: string, value: Value | undefined, expected: string): CommandError {
    return new CommandError(
      'TypeMismatch',
      `BSON field '${this.name}.${field}' is the wrong type '${typeOf(value).alias}', expected type '${expected}'`,
    );
  }
}

function checkReadConcern(value: Value): void {
  const level = isDoc(value) ? (value.get('level') ?? 'local') : undefined;
  if (level === 'local' || level === 'majority' || level === 'available') return;
  throw notImplemented(`the read concern ${display(value)}`);
}

/** Every write is on the disk when it is answered: more than that a single server cannot promise. */
function checkWriteConcern(value: Value): void {
  const w = isDoc(value) ? (value.get('w') ?? 'majority') : undefined;
  if (w === 'majority') return;
  const servers = wholeNumber(w);
  if (servers === 0 || servers === 1) return;
  throw new CommandError('BadValue', "cannot use 'w' > 1 when a host is not replicated");
}

/** Also for the collations within an item of a write. */
export function checkCollation(value: Value): void {
  if (isDoc(value) && (value.size === 0 || (value.size === 1 && value.get('locale') === 'simple'))) return;
  throw notImplemented('a collation');
}
