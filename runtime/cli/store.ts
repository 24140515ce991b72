/** `sluice store`: the embedded document store as a process of its own. */
import { once } from 'node:events';
import { Command } from 'commander';
import { StartError } from '../embedded/document-store/errors.js';
import { startDocumentStore, type DocumentStore } from '../embedded/document-store/server.js';
import { UserError } from '../launcher/user-error.js';
import { portNumber } from './options.js';

interface Options {
  dir: string;
  port: number;
  host: string;
  json: boolean;
}

export function storeCommand(): Command {
  return new Command('store')
    .description('Run the embedded document store: a subset of MongoDB for a laptop, a demo or a small gateway.')
    .requiredOption('--dir <dir>', 'where the documents are kept')
    .option('--port <number>', 'the port; 0: any free one', portNumber, 27017)
    .option('--host <address>', 'where it listens', '127.0.0.1')
    .option('--json', 'print one line of JSON when ready, and nothing else', false)
    .addHelpText(
      'after',
      `
Environment:
  SLUICE_MONGODB_USER, SLUICE_MONGODB_PASSWORD   clients must log in; needed where other machines reach --host`,
    )
    .action(run);
}

async function run(options: Options): Promise<void> {
  const ended = untilToldToEnd();
  try {
    const store = await start(options);
    announce(store, options);
    await ended;
    await store.stop();
  } catch (error) {
    throw explained(error, options);
  } finally {
    // A parent that is still there keeps the channel open, and with it this process.
    if (process.connected) process.disconnect();
  }
}

function start({ dir, port, host }: Options): Promise<DocumentStore> {
  const user = process.env['SLUICE_MONGODB_USER'];
  const password = process.env['SLUICE_MONGODB_PASSWORD'];
  return startDocumentStore({
    directory: dir,
    port,
    host,
    ...(user ? { user } : {}),
    ...(password ? { password } : {}),
    log: (sentence, fields) => console.error(sentence, fields),
  });
}

/** A sentence for what a person can put right; anything else stays what it is. */
function explained(error: unknown, { port, host, dir }: Options): unknown {
  if (error instanceof StartError) return new UserError(error.message, { cause: error });
  switch ((error as NodeJS.ErrnoException).code) {
    case 'EADDRINUSE':
      return new UserError(`the port ${port} of ${host} is taken by another program: choose another with --port`);
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return new UserError(`this machine has no address ${host} to listen on: choose another with --host`);
    case 'EACCES':
      return new UserError(`no permission to use the port ${port} or the directory ${dir}`, { cause: error });
    case 'ENOTDIR':
    case 'EEXIST':
      return new UserError(`expected a directory, got something else: ${dir}`);
    default:
      return error;
  }
}

function announce(store: DocumentStore, { dir, json }: Options): void {
  const ready = { ready: true, mongodb: store.uri, dir, pid: process.pid };
  const sentence = `The document store is ready at ${store.uri}, keeping its documents in ${dir}. Ctrl-C stops it.`;
  console.log(json ? JSON.stringify(ready) : sentence);
  // The launcher listens for this rather than read what is printed.
  process.send?.({ type: 'ready', uri: store.uri });
}

/**
 * Resolves on SIGTERM or SIGINT. A child with a channel ends with its parent instead, however that ends: Ctrl-C
 * reaches the whole group, and it is for the parent to say in which order its children stop.
 */
async function untilToldToEnd(): Promise<void> {
  if (process.send === undefined) {
    await Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]);
    return;
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
  await once(process, 'disconnect');
}
