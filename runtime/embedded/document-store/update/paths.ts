/** Where an update writes: a dotted path into one document, by name and by position in an array. */
import { display, isDoc, typeOf, type Doc, type Value } from '../bson/values.js';
import { CommandError, notImplemented } from '../errors.js';
import { arrayIndex } from '../query/paths.js';

/** MongoDB's own bound on the nulls with which it fills up an array (`kMaxPaddingAllowed`). */
const MAX_PADDING = 1_500_000;

/** A place in a document. */
export interface Slot {
  get(): Value | undefined;
  set(value: Value): void;
  remove(): void;
}

/** Throws for paths that the operators of this store do not take. */
export function parseUpdatePath(path: string): string[] {
  const parts = path.split('.');
  if (parts.includes('')) {
    throw new CommandError(
      'EmptyFieldName',
      `The update path '${path}' contains an empty field name, which is not allowed.`,
    );
  }
  if (parts.some((part) => part === '$' || part.startsWith('$[')))
    throw notImplemented('the positional update operator');
  return parts;
}

/** The place, whatever stands on the way there being made; throws PathNotViable where a value stands in the way. */
export function slotFor(doc: Doc, path: readonly string[]): Slot {
  let container: Value = doc;
  let name = '';
  for (const part of path.slice(0, -1)) {
    const slot = slotIn(container, part, name);
    let next = slot.get();
    if (next === undefined) slot.set((next = new Map()));
    container = next;
    name = part;
  }
  return slotIn(container, path.at(-1) ?? '', name);
}

/** The place if it is there; nothing is made. */
export function existingSlot(doc: Doc, path: readonly string[]): Slot | undefined {
  let container: Value | undefined = doc;
  for (const part of path.slice(0, -1)) {
    if (!isContainer(container) || !hasPart(container, part)) return undefined;
    container = slotIn(container, part, '').get();
  }
  const last = path.at(-1) ?? '';
  return isContainer(container) && hasPart(container, last) ? slotIn(container, last, '') : undefined;
}

function isContainer(value: Value | undefined): value is Doc | Value[] {
  return isDoc(value) || Array.isArray(value);
}

function hasPart(container: Doc | Value[], part: string): boolean {
  if (isDoc(container)) return container.has(part);
  const index = arrayIndex(part);
  return index !== undefined && index < container.length;
}

/** @param name of the field that holds the container, for the message */
function slotIn(container: Value, part: string, name: string): Slot {
  if (isDoc(container)) {
    return {
      get: () => container.get(part),
      set: (value) => void container.set(part, value),
      remove: () => void container.delete(part),
    };
  }
  const index = Array.isArray(container) ? arrayIndex(part) : undefined;
  if (!Array.isArray(container) || index === undefined) {
    throw new CommandError(
      'PathNotViable',
      `Cannot create field '${part}' in element {${name}: ${display(container)}}`,
    );
  }
  return {
    get: () => container[index],
    set: (value) => {
      if (index - container.length > MAX_PADDING)
        throw new CommandError('BadValue', `can't backfill more than ${MAX_PADDING} elements`);
      while (container.length < index) container.push(null);
      container[index] = value;
    },
    // The others keep their positions.
    remove: () => void (container[index] = null),
  };
}

/** The array at the place; throws when something else is there. `undefined` where nothing is. */
export function arrayAt(doc: Doc, slot: Slot | undefined, path: string): Value[] | undefined {
  const value = slot?.get();
  if (value === undefined || Array.isArray(value)) return value;
  throw new CommandError(
    'BadValue',
    `The field '${path}' must be an array but is of type ${typeOf(value).alias} in document {_id: ${display(doc.get('_id'))}}`,
  );
}
