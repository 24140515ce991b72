/**
 * Containers of compose.yaml as processes: the image's command, with the environment that a service has there. There is no
 * Docker engine where the tests run, so addresses and folders are others.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DockerfileParser } from 'dockerfile-ast';
import { parse } from 'yaml';

const ROOT = join(import.meta.dirname, '../..');

type Environment = Readonly<Record<string, string | undefined>>;

interface ComposeFile {
  readonly services: Readonly<Record<string, { readonly environment?: Readonly<Record<string, string>> }>>;
}

/** What the image's command is given. @param place - what stands for `/data` */
export function imageCommand(place: string): string[] {
  const command = instruction('CMD').map((part) => (part === '/data' ? place : part));
  return [...command, '--port', '0', '--json'];
}

/** The program of the image's health check, for an instance on another port. */
export function healthCheck(url: string): string[] {
  const [node = '', ...rest] = instruction('HEALTHCHECK');
  const address = `127.0.0.1:${new URL(url).port}`;
  return [node === 'node' ? process.execPath : node, ...rest.map((part) => part.replace('127.0.0.1:1880', address))];
}

function instruction(name: string): string[] {
  const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
  const found = DockerfileParser.parse(text)
    .getInstructions()
    .findLast((one) => one.getKeyword() === name);
  return JSON.parse(found?.getArgumentsContent()?.replace(/^.*?CMD\s+/s, '') ?? '[]') as string[];
}

/** What a service has there; what `.env` is asked for stands in it as it is written. */
export function environmentOf(service: 'editor' | 'worker'): Environment {
  const { services } = parse(readFileSync(join(ROOT, 'compose.yaml'), 'utf8')) as ComposeFile;
  return services[service]?.environment ?? {};
}
