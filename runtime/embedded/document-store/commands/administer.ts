/** Commands about databases, collections and indexes. */
import { Binary, Int32 } from 'bson';
import { equal } from '../bson/compare.js';
import { display, isDoc, type Doc, type Value } from '../bson/values.js';
import { CommandError } from '../errors.js';
import { compileFilter } from '../query/filter.js';
import type { Collection } from '../storage/collection.js';
import { Index, sameOptions } from '../storage/indexes.js';
import { Item } from '../storage/item.js';
import type { Command, Session } from './command.js';
import { asRows, cursorBatchSize, firstBatch } from './read.js';
import type { Request } from './request.js';

const ID_INDEX: Doc = new Map<string, Value>([
  ['v', new Int32(2)],
  ['key', new Map([['_id', new Int32(1)]])],
  ['name', '_id_'],
]);

const CREATE: Command = {
  // Collections of other kinds, and rules for their documents, are refused with all that is not in this list.
  fields: ['autoIndexId', 'idIndex'],
  run: (request, session) => {
    const name = request.collection();
    if (session.catalog.get(request.db, name) !== undefined) {
      throw new CommandError('NamespaceExists', `Collection ${request.db}.${name} already exists.`);
    }
    session.catalog.transaction(() => session.catalog.obtain(request.db, name));
    return {};
  },
};

/** As MongoDB 7 has it, there is no error in dropping what is not there. */
const DROP: Command = {
  fields: [],
  run: (request, { catalog }) => {
    const collection = catalog.get(request.db, request.collection());
    if (collection === undefined) return {};
    catalog.transaction(() => catalog.drop(collection));
    return { nIndexesWas: collection.indexes.length + 1, ns: collection.ns };
  },
};

const DROP_DATABASE: Command = {
  fields: [],
  run: (request, { catalog }) => {
    const collections = catalog.list(request.db);
    catalog.transaction(() => collections.forEach((collection) => catalog.drop(collection)));
    return collections.length === 0 ? {} : { dropped: request.db };
  },
};

const LIST_COLLECTIONS: Command = {
  fields: ['filter', 'nameOnly', 'authorizedCollections', 'cursor'],
  run: (request, session) => {
    const filter = compileFilter(request.doc('filter') ?? new Map<string, Value>());
    const nameOnly = request.flag('nameOnly');
    const described = session.catalog.list(request.db).map(describeCollection);
    const items = described
      .filter((doc) => filter.matches(doc))
      .map((doc) => Item.made(nameOnly ? new Map([...doc].slice(0, 2)) : doc));
    return firstBatch(session, `${request.db}.$cmd.listCollections`, asRows(items), [], {
      size: cursorBatchSize(request),
    });
  },
};

function describeCollection(collection: Collection): Doc {
  return new Map<string, Value>([
    ['name', collection.name],
    ['type', 'collection'],
    ['options', new Map()],
    [
      'info',
      new Map<string, Value>([
        ['readOnly', false],
        ['uuid', new Binary(collection.uuid, Binary.SUBTYPE_UUID)],
      ]),
    ],
    ['idIndex', ID_INDEX],
  ]);
}

const LIST_DATABASES: Command = {
  fields: ['filter', 'nameOnly', 'authorizedDatabases'],
  run: (request, { catalog }) => {
    if (request.db !== 'admin') {
      throw new CommandError('Unauthorized', 'listDatabases may only be run against the admin database.');
    }
    const filter = compileFilter(request.doc('filter') ?? new Map<string, Value>());
    const databases = catalog.databases().map((name) => {
      const bytes = catalog.list(name).reduce((sum, collection) => sum + collection.bytes, 0);
      return new Map<string, Value>([
        ['name', name],
        ['sizeOnDisk', BigInt(bytes)],
        ['empty', false],
      ]);
    });
    const found = databases.filter((doc) => filter.matches(doc));
    if (request.flag('nameOnly')) return { databases: found.map((doc) => ({ name: doc.get('name') })) };
    const totalSize = found.reduce((sum, doc) => sum + Number(doc.get('sizeOnDisk')), 0);
    return { databases: found, totalSize, totalSizeMb: Math.floor(totalSize / 2 ** 20) };
  },
};

const CREATE_INDEXES: Command = {
  fields: ['indexes', 'commitQuorum'],
  run: (request, { catalog }) => {
    const name = request.collection();
    const specs = request.array('indexes');
    if (specs.length === 0) throw new CommandError('BadValue', 'Must specify at least one index to create');
    return catalog.transaction(() => {
      const createdCollectionAutomatically = catalog.get(request.db, name) === undefined;
      const collection = catalog.obtain(request.db, name);
      const numIndexesBefore = collection.indexes.length + 1;
      for (const spec of specs) {
        if (!isDoc(spec)) throw new CommandError('TypeMismatch', 'The elements of the indexes array must be objects');
        const recorded: Doc = new Map([['v', new Int32(2)], ...spec]);
        if (!isIdIndex(recorded) && !existsAlready(collection, new Index(recorded, undefined))) {
          catalog.createIndex(collection, recorded);
        }
      }
      const numIndexesAfter = collection.indexes.length + 1;
      const note = numIndexesAfter === numIndexesBefore ? { note: 'all indexes already exist' } : {};
      return { numIndexesBefore, numIndexesAfter, createdCollectionAutomatically, ...note };
    });
  },
};

function isIdIndex(spec: Doc): boolean {
  return equal(spec.get('key'), ID_INDEX.get('key'));
}

/** Throws when there is one that is nearly the same. */
function existsAlready(collection: Collection, wanted: Index): boolean {
  for (const index of collection.indexes) {
    const same = sameOptions(index, wanted);
    if (index.name === wanted.name) {
      if (same) return true;
      throw new CommandError(
        'IndexKeySpecsConflict',
        `An existing index has the same name as the requested index, and another specification: ${wanted.name}`,
      );
    }
    if (same)
      throw new CommandError('IndexOptionsConflict', `Index already exists with a different name: ${index.name}`);
    if (equal(index.key, wanted.key)) {
      throw new CommandError(
        'IndexOptionsConflict',
        `An equivalent index already exists with other options: ${index.name}`,
      );
    }
  }
  return false;
}

const LIST_INDEXES: Command = {
  fields: ['cursor'],
  run: (request, session) => {
    const collection = existing(request, session, 'listIndexes');
    const items = [ID_INDEX, ...collection.indexes.map(({ spec }) => spec)].map((spec) => Item.made(spec));
    return firstBatch(session, collection.ns, asRows(items), [], { size: cursorBatchSize(request) });
  },
};

function existing(request: Request, { catalog }: Session, field: string): Collection {
  const name = request.collection(field);
  const collection = catalog.get(request.db, name);
  if (collection === undefined) throw new CommandError('NamespaceNotFound', `ns does not exist: ${request.db}.${name}`);
  return collection;
}

const DROP_INDEXES: Command = {
  fields: ['index'],
  run: (request, session) => {
    const { catalog } = session;
    const collection = existing(request, session, request.name);
    const nIndexesWas = collection.indexes.length + 1;
    const wanted = request.get('index');
    const dropped = (Array.isArray(wanted) ? wanted : [wanted]).flatMap((index) => indexesFor(collection, index));
    catalog.transaction(() => dropped.forEach((index) => catalog.dropIndex(collection, index)));
    return { nIndexesWas };
  },
};

function indexesFor(collection: Collection, wanted: Value | undefined): readonly Index[] {
  if (wanted === '*') return collection.indexes;
  if (wanted === '_id_' || equal(wanted, ID_INDEX.get('key')))
    throw new CommandError('InvalidOptions', 'cannot drop _id index');
  const found = collection.indexes.filter(({ name, key }) => (isDoc(wanted) ? equal(key, wanted) : name === wanted));
  if (found.length > 0) return found;
  throw new CommandError('IndexNotFound', `index not found with name or key [${display(wanted)}]`);
}

export const ADMINISTER: ReadonlyMap<string, Command> = new Map([
  ['create', CREATE],
  ['drop', DROP],
  ['dropDatabase', DROP_DATABASE],
  ['listCollections', LIST_COLLECTIONS],
  ['listDatabases', LIST_DATABASES],
  ['createIndexes', CREATE_INDEXES],
  ['listIndexes', LIST_INDEXES],
  ['dropIndexes', DROP_INDEXES],
  ['deleteIndexes', DROP_INDEXES],
]);
