/** A real MQTT broker, Eclipse Mosquitto: the one that most gateways run, with MQTT 5 and shared subscriptions. */
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { access, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { findOnPath, freePort, ServerMissing, startProcess, type ServerProcess, type TestServer } from './server.js';

/** Debian installs it for the administrator only. */
const BESIDE_THE_PATH = '/usr/sbin/mosquitto';

export interface MosquittoOptions {
  /** Keeps sessions and queues over a restart, written after so many changes. Default: nothing is kept. */
  readonly persistence?: { readonly autosaveChanges: number };
  /** Messages that may be unacknowledged for one client; 0 for no bound. Default: the broker's own, 20. */
  readonly maxInflightMessages?: number;
  /** Passwords by user name; nobody else gets in. Default: everybody does. */
  readonly users?: Readonly<Record<string, string>>;
  /** More lines for mosquitto.conf. */
  readonly lines?: readonly string[];
}

export interface Mosquitto extends TestServer {
  /** `mqtt://127.0.0.1:port` */
  readonly url: string;
  readonly port: number;
}

/** One that belongs to the test, which may end it and start it again on the same port and folder. */
export interface OwnMosquitto extends Mosquitto {
  /** SIGKILL, as a crash. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** What it has written to its log so far, since the last start. */
  output(): string;
  /** Of the process that runs now. */
  pid(): number | undefined;
}

/** The broker that the environment names in MOSQUITTO_URL, which is left running; else one of our own. Throws `ServerMissing`. */
export async function startMosquitto(): Promise<Mosquitto> {
  const given = process.env['MOSQUITTO_URL'];
  if (given === undefined || given === '') return startOwnMosquitto();
  return { url: given, port: Number(new URL(given).port || 1883), stop: () => Promise.resolve() };
}

/** Mosquitto on a free port and an empty folder. Throws `ServerMissing`. */
export async function startOwnMosquitto(options: MosquittoOptions = {}): Promise<OwnMosquitto> {
  const command = await mosquittoProgram();
  const directory = await mkdtemp(join(tmpdir(), 'sluice-mosquitto-'));
  const port = await freePort();
  const configuration = join(directory, 'mosquitto.conf');
  const passwords = join(directory, 'passwords');
  if (options.users !== undefined) await writeFile(passwords, passwordFile(options.users));
  await writeFile(configuration, configurationFile(options, { port, directory, passwords }));

  const start = (): Promise<ServerProcess> =>
    startProcess({ command, args: ['-c', configuration], cwd: directory, port });
  let server = await start();
  return {
    url: `mqtt://127.0.0.1:${port}`,
    port,
    output: () => server.output(),
    pid: () => server.process.pid,
    kill: () => server.kill(),
    restart: async () => {
      await server.stop();
      server = await start();
    },
    stop: async () => {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** Where the broker's program is. Throws `ServerMissing`. */
export async function mosquittoProgram(): Promise<string> {
  const found = await findOnPath('mosquitto');
  if (found !== undefined) return found;
  try {
    await access(BESIDE_THE_PATH);
    return BESIDE_THE_PATH;
  } catch {
    throw new ServerMissing(
      'mosquitto is neither on the PATH nor in /usr/sbin: install it (apt install mosquitto), or name a broker in MOSQUITTO_URL',
    );
  }
}

function configurationFile(
  { persistence, maxInflightMessages, users, lines = [] }: MosquittoOptions,
  { port, directory, passwords }: { port: number; directory: string; passwords: string },
): string {
  return [
    `listener ${port} 127.0.0.1`,
    // Started by root it becomes the user "mosquitto", who may not write here.
    `user ${userInfo().username}`,
    // By default it drops what exceeds 1,000, although the publisher got its PUBACK.
    'max_queued_messages 0',
    ...(maxInflightMessages === undefined ? [] : [`max_inflight_messages ${maxInflightMessages}`]),
    ...(persistence === undefined
      ? ['persistence false']
      : [
          'persistence true',
          `persistence_location ${directory}/`,
          'autosave_on_changes true',
          `autosave_interval ${persistence.autosaveChanges}`,
        ]),
    ...(users === undefined ? ['allow_anonymous true'] : ['allow_anonymous false', `password_file ${passwords}`]),
    ...lines,
    '',
  ].join('\n');
}

/** The form that `mosquitto_passwd` writes: PBKDF2 with SHA-512, `$7$iterations$salt$hash`. */
function passwordFile(users: Readonly<Record<string, string>>): string {
  const iterations = 101;
  return Object.entries(users)
    .map(([user, password]) => {
      const salt = randomBytes(12);
      const hash = pbkdf2Sync(password, salt, iterations, 64, 'sha512');
      return `${user}:$7$${iterations}$${salt.toString('base64')}$${hash.toString('base64')}\n`;
    })
    .join('');
}
