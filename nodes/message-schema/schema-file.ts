import { closeSync, fstatSync, openSync, readFileSync, realpathSync } from 'node:fs';
import { isAbsolute, relative, resolve, sep } from 'node:path';
import { constants } from 'node:fs';
import { ConfigError, describeValue, messageOf } from '../lib/errors.js';
import { MOST_BYTES } from './limits.js';

/**
 * The text of a file in a folder, which neither the path nor a symbolic link in it leaves. Nothing of the text stands in
 * an error: the folder holds other files than schemas.
 *
 * @throws ConfigError `schema-file`, with the place of the field and the file
 */
export function readSchemaFile(folder: string | undefined, file: string): string {
  if (file === '') throw problem('expected the path of a JSON file, got nothing');
  if (folder === undefined) throw problem(`expected a Node-RED with a user folder to read ${file} from, got none`);
  const inside = `expected a file in ${folder}`;
  if (leaves(folder, resolve(folder, file))) throw problem(`${inside}, got ${describeValue(file)}, which leads out`);
  let descriptor: number;
  try {
    const real = realpathSync(resolve(folder, file));
    if (leaves(realpathSync(folder), real)) {
      throw problem(`${inside}, got ${describeValue(file)}, a link that leads out`);
    }
    // A pipe would hold the deploy until somebody writes to it.
    descriptor = openSync(real, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw problem(`${inside} that can be read, got ${describeValue(file)}: ${messageOf(error)}`, error);
  }
  try {
    const { size } = fstatSync(descriptor);
    if (!fstatSync(descriptor).isFile()) throw problem(`${inside}, got ${describeValue(file)}, which is no file`);
    if (size > MOST_BYTES) {
      throw problem(`expected a file of at most ${MOST_BYTES} bytes, got ${describeValue(file)} of ${size}`);
    }
    return parsed(readFileSync(descriptor), file);
  } finally {
    closeSync(descriptor);
  }
}

function parsed(bytes: Buffer, file: string): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    JSON.parse(text);
    return text;
  } catch (error) {
    const place = /at position \d+(?: \(line \d+ column \d+\))?/.exec(messageOf(error))?.[0];
    throw problem(
      `expected JSON in UTF-8 in the file ${describeValue(file)}, got other text${place === undefined ? '' : ` ${place}`}`,
    );
  }
}

function leaves(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === '' || way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way);
}

function problem(sentence: string, cause?: unknown): ConfigError {
  return new ConfigError(`/file: ${sentence}`, { code: 'schema-file', path: '/file', cause });
}
