/** The thread that owns a spool's file: does one request after the other, and answers each. */
import { parentPort } from 'node:worker_threads';
import { messageOf, UnavailableError } from '../errors.js';
import { SpoolFile, type SpoolFileOptions } from './file.js';
import { pack, unpack, type Damage } from './record.js';
import type { Answer, Commands, Request } from './thread-protocol.js';

const damages: Damage[] = [];
let file: SpoolFile | undefined;

const commands: Commands = {
  open: (options: SpoolFileOptions) => {
    file = new SpoolFile(options, Date.now, (damage) => damages.push(damage));
  },
  append: (records) => opened().append(unpack(records)),
  read: (after, limits) => pack(opened().read(after, limits)),
  get: (seqs) => pack(opened().get(seqs)),
  remove: (seqs) => opened().remove(seqs),
  bundles: () => opened().bundles(),
  takeBundle: (id) => opened().takeBundle(id),
  changeBundle: (id, about) => opened().changeBundle(id, about),
  readBundle: (id, after, limits) => pack(opened().readBundle(id, after, limits)),
  removeBundle: (id, forget) => opened().removeBundle(id, forget),
  deliveries: (after, most) => opened().deliveries(after, most),
  close: () => opened().close(),
};

function opened(): SpoolFile {
  if (file === undefined) throw new Error('expected an open spool, got none');
  return file;
}

function answerTo({ command, parameters }: Request): Omit<Answer, 'id'> {
  const run = commands[command] as (...parameters: readonly unknown[]) => unknown;
  try {
    const result = run(...parameters);
    return { result, counts: command === 'close' ? undefined : opened().counts, damages: damages.splice(0) };
  } catch (error) {
    const code = error instanceof UnavailableError ? error.code : undefined;
    return { error: { code, message: messageOf(error) }, counts: undefined, damages: damages.splice(0) };
  }
}

function isPacked(result: unknown): result is { bodies: Uint8Array<ArrayBuffer> } {
  return typeof result === 'object' && result !== null && 'bodies' in result;
}

parentPort?.on('message', (request: Request) => {
  const answer: Answer = { id: request.id, ...answerTo(request) };
  parentPort?.postMessage(answer, isPacked(answer.result) ? [answer.result.bodies.buffer] : []);
});
