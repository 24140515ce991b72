/** `_id`, and the names of databases and collections: what MongoDB allows. */
import { BSONRegExp } from 'bson';
import { display, isDoc, typeOf, type Value } from '../bson/values.js';
import { CommandError } from '../errors.js';

/**
 * Gives the value back, or throws: `_id` is neither an array nor a regular expression, nor a document with operators.
 */
export function checkId(id: Value): Value {
  if (Array.isArray(id) || id instanceof BSONRegExp) {
    throw new CommandError('BadValue', `The '_id' value cannot be of type ${typeOf(id).alias}`);
  }
  if (isDoc(id)) {
    for (const name of id.keys()) {
      if (name.startsWith('$')) {
        throw new CommandError(
          'DollarPrefixedFieldName',
          `_id fields may not contain '$'-prefixed fields: ${display(id)}`,
        );
      }
    }
  }
  return id;
}

/** https://www.mongodb.com/docs/manual/reference/limits/#naming-restrictions */
const MAX_DATABASE_BYTES = 63;
const MAX_NAMESPACE_BYTES = 255;

export function checkDatabaseName(name: string): void {
  if (name === '' || Buffer.byteLength(name) > MAX_DATABASE_BYTES || /[/\\. "$*<>:|?\0]/.test(name)) {
    throw new CommandError('InvalidNamespace', `Invalid database name: '${name}'`);
  }
}

/** Throws InvalidNamespace for a name that no collection of this store has. */
export function checkCollectionName(db: string, name: string): void {
  if (name === '' || name.startsWith('.') || name.endsWith('.') || /[$\0]/.test(name)) {
    throw new CommandError('InvalidNamespace', `Invalid collection name: '${name}'`);
  }
  if (name === 'system' || name.startsWith('system.')) {
    throw new CommandError('InvalidNamespace', `Invalid system namespace: ${db}.${name}`);
  }
  if (Buffer.byteLength(`${db}.${name}`) > MAX_NAMESPACE_BYTES) {
    throw new CommandError('InvalidNamespace', `Fully qualified namespace is too long. Max: ${MAX_NAMESPACE_BYTES}`);
  }
}
