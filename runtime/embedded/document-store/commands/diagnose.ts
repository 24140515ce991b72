/** What shells and tools ask of a server. */
import { CommandError } from '../errors.js';
import { MAX_DOCUMENT_BYTES } from '../bson/decode.js';
import { display } from '../bson/values.js';
import type { Command } from './command.js';

/** The version of MongoDB whose commands these are: shells decide by it what they ask. */
const VERSION = '7.0.0';
const FEATURES = '7.0';

const BUILD_INFO: Command = {
  open: true,
  fields: [],
  run: () => ({
    version: VERSION,
    versionArray: [7, 0, 0, 0],
    gitVersion: '0000000000000000000000000000000000000000',
    modules: ['sluice-document-store'],
    allocator: 'system',
    javascriptEngine: 'none',
    sysInfo: 'deprecated',
    bits: 64,
    debug: false,
    maxBsonObjectSize: MAX_DOCUMENT_BYTES,
    storageEngines: ['sqlite'],
  }),
};

const GET_PARAMETER: Command = {
  fields: ['featureCompatibilityVersion', 'allParameters', 'showDetails'],
  run: (request) => {
    const known =
      request.has('featureCompatibilityVersion') ||
      request.flag('allParameters') ||
      request.get('getParameter') === '*';
    if (!known) throw new CommandError('InvalidOptions', 'no option found to get');
    return { featureCompatibilityVersion: { version: FEATURES } };
  },
};

const GET_LOG: Command = {
  fields: [],
  run: (request) => {
    const name = request.get('getLog');
    if (name === '*') return { names: ['global', 'startupWarnings'] };
    // The log is the process's own, not kept here.
    if (name === 'global' || name === 'startupWarnings') return { totalLinesWritten: 0, log: [] };
    throw new CommandError('InvalidOptions', `no log named: ${display(name)}`);
  },
};

const DB_STATS: Command = {
  fields: ['scale', 'freeStorage'],
  run: (request, { catalog }) => {
    const collections = catalog.list(request.db);
    const scale = request.count('scale') ?? 1;
    const objects = collections.reduce((sum, { documents }) => sum + documents, 0);
    const bytes = collections.reduce((sum, collection) => sum + collection.bytes, 0);
    return {
      db: request.db,
      collections: collections.length,
      views: 0,
      objects,
      avgObjSize: objects === 0 ? 0 : bytes / objects,
      dataSize: bytes / (scale || 1),
      indexes: collections.reduce((sum, { indexes }) => sum + indexes.length + 1, 0),
      scaleFactor: scale || 1,
    };
  },
};

const CONNECTION_STATUS: Command = {
  open: true,
  fields: ['showPrivileges'],
  run: (_, { authenticator, authenticated }) => ({
    authInfo: {
      authenticatedUsers:
        authenticator !== undefined && authenticated ? [{ user: authenticator.user, db: 'admin' }] : [],
      authenticatedUserRoles: authenticator !== undefined && authenticated ? [{ role: 'root', db: 'admin' }] : [],
    },
  }),
};

export const DIAGNOSE: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['buildInfo', BUILD_INFO],
  ['buildinfo', BUILD_INFO],
  ['getParameter', GET_PARAMETER],
  ['getLog', GET_LOG],
  ['dbStats', DB_STATS],
  ['dbstats', DB_STATS],
  ['connectionStatus', CONNECTION_STATUS],
  ['whatsmyuri', { open: true, fields: [], run: (_, { remote }) => ({ you: remote }) }],
  ['getCmdLineOpts', { fields: [], run: () => ({ argv: [], parsed: {} }) }],
]);
