import { accessSync, constants, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { UserError } from '../launcher/user-error.js';
import { freePort } from './free-port.js';
import { accepts, Program, type ProgramOptions } from './program.js';
import type { Address } from './tcp-proxy.js';

/** A broker that the run may do things to. */
export interface Broker {
  readonly name: string;
  /** Where clients connect, the login with it. */
  readonly url: URL;
  /** Undefined for one that is not ours. */
  readonly own: OwnBroker | undefined;
}

export interface OwnBroker {
  readonly fault: 'kill-broker' | 'restart-broker';
  start(): Promise<void>;
  /** Down, in the way of its fault. */
  down(): Promise<void>;
  stop(): Promise<void>;
}

const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 15_000;
/** Debian installs it for the administrator only. */
const BESIDE_THE_PATH = '/usr/sbin';
const MISSING =
  'expected an MQTT broker: mosquitto on the PATH (Debian: apt install mosquitto), HIVEMQ_HOME with the jars of ' +
  'com.hivemq:hivemq-community-edition-embedded in its folder lib, and java on the PATH, or the URL of one in --broker or MQTT_URL; got none';

/**
 * @param wanted - `mosquitto`, `hivemq`, a URL, or undefined for what there is
 * @throws UserError when it is not to be had
 */
export async function findBroker(wanted: string | undefined, folder: string): Promise<Broker> {
  if (wanted?.includes('://') === true) return givenBroker(wanted);
  const mosquitto = onPath('mosquitto');
  if (mosquitto !== undefined && wanted !== 'hivemq') return mosquittoBroker(mosquitto, folder);
  const java = onPath('java');
  const home = process.env['HIVEMQ_HOME'];
  if (java !== undefined && home !== undefined && existsSync(join(home, 'lib')) && wanted !== 'mosquitto') {
    return hiveMqBroker(java, home, folder);
  }
  throw new UserError(wanted === undefined ? MISSING : `${MISSING} (--broker ${wanted})`);
}

export function addressOf(url: URL, defaultPort: number): Address {
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(url.port || defaultPort) };
}

async function givenBroker(text: string): Promise<Broker> {
  const url = new URL(text);
  const address = addressOf(url, url.protocol === 'mqtts:' ? 8_883 : 1_883);
  if (!(await accepts(address))) {
    throw new UserError(`expected a broker at ${address.host}:${address.port}, got nobody who takes a connection`);
  }
  return { name: `broker at ${address.host}:${address.port}`, url, own: undefined };
}

/** Its queues are written when it ends by SIGTERM: what it has acknowledged before a SIGKILL is lost. */
async function mosquittoBroker(command: string, folder: string): Promise<Broker> {
  const port = await freePort();
  const configuration = join(folder, 'mosquitto.conf');
  mkdirSync(folder, { recursive: true });
  const lines = [
    `listener ${port} 127.0.0.1`,
    'allow_anonymous true',
    // Started by root it becomes the user "mosquitto", who may not write here.
    `user ${userInfo().username}`,
    // By default it drops what exceeds 1,000, although the publisher got its PUBACK; and with a bound of messages in
    // flight 2.0.11 stops in the middle of a backlog at QoS 2.
    'max_queued_messages 0',
    'max_inflight_messages 0',
    'persistence true',
    `persistence_location ${folder}/`,
  ];
  writeFileSync(configuration, `${lines.join('\n')}\n`);
  const program = { name: 'mosquitto', command, parameters: ['-c', configuration], folder, log: join(folder, 'log') };
  return { name: 'mosquitto', url: localUrl(port), own: new BrokerProgram('restart-broker', program, port) };
}

/** Its queues are in files: what it has acknowledged is there after a SIGKILL. */
async function hiveMqBroker(java: string, home: string, folder: string): Promise<Broker> {
  const port = await freePort();
  for (const name of ['conf', 'data', 'extensions']) mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, 'conf', 'config.xml'), hiveMqConfiguration(port));
  // Embedded, because HiveMQ by itself lets nobody in who has no extension for it.
  writeFileSync(join(folder, 'Main.java'), HIVEMQ_MAIN);
  const parameters = ['-Xmx256m', '-XX:TieredStopAtLevel=1', '-cp', join(home, 'lib', '*'), 'Main.java', folder];
  const program = { name: 'HiveMQ', command: java, parameters, folder, log: join(folder, 'log') };
  return { name: 'HiveMQ CE', url: localUrl(port), own: new BrokerProgram('kill-broker', program, port) };
}

const HIVEMQ_MAIN = `import com.hivemq.embedded.EmbeddedHiveMQ;
import java.nio.file.Path;

public class Main {
  public static void main(String[] arguments) {
    Path folder = Path.of(arguments[0]);
    EmbeddedHiveMQ.builder()
        .withConfigurationFolder(folder.resolve("conf"))
        .withDataFolder(folder.resolve("data"))
        .withExtensionsFolder(folder.resolve("extensions"))
        .build().start().join();
  }
}
`;

function hiveMqConfiguration(port: number): string {
  return `<?xml version="1.0"?>
<hivemq xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <listeners>
    <tcp-listener>
      <port>${port}</port>
      <bind-address>127.0.0.1</bind-address>
    </tcp-listener>
  </listeners>
  <!-- By default it drops what exceeds 1,000, although the publisher got its PUBACK. -->
  <mqtt><queued-messages><max-queue-size>1000000</max-queue-size></queued-messages></mqtt>
  <persistence><mode>file</mode></persistence>
  <anonymous-usage-statistics><enabled>false</enabled></anonymous-usage-statistics>
</hivemq>
`;
}

class BrokerProgram implements OwnBroker {
  readonly #options: ProgramOptions;
  readonly #address: Address;
  #program: Program | undefined;

  constructor(
    readonly fault: OwnBroker['fault'],
    options: ProgramOptions,
    port: number,
  ) {
    this.#options = options;
    this.#address = { host: '127.0.0.1', port };
  }

  async start(): Promise<void> {
    this.#program = new Program(this.#options);
    await this.#program.listening(this.#address, READY_WITHIN_MS);
  }

  async down(): Promise<void> {
    if (this.fault === 'kill-broker') await this.#program?.kill();
    else await this.stop();
  }

  async stop(): Promise<void> {
    await this.#program?.stop(STOP_WITHIN_MS);
  }
}

function localUrl(port: number): URL {
  return new URL(`mqtt://127.0.0.1:${port}`);
}

function onPath(program: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), BESIDE_THE_PATH];
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
