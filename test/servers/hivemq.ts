/** A real MQTT broker of another kind, HiveMQ Community Edition: MQTT 5 by the letter, with a receiveMaximum of 10. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { built, freePort, run, startProcess, type TestServer } from './server.js';

const VERSION = '2025.5';

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>sluice-test</groupId>
  <artifactId>hivemq</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>com.hivemq</groupId>
      <artifactId>hivemq-community-edition-embedded</artifactId>
      <version>${VERSION}</version>
    </dependency>
  </dependencies>
</project>
`;

const MAIN = `import com.hivemq.embedded.EmbeddedHiveMQ;
import java.nio.file.Path;

public class HiveMqMain {
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

export interface HiveMq extends TestServer {
  /** `mqtt://127.0.0.1:port` */
  readonly url: string;
  /** The same over a WebSocket, with its path; undefined for one that the environment names. */
  readonly webSocketUrl: string | undefined;
}

/** The broker that the environment names in HIVEMQ_URL, which is left running; else one of our own. Throws `ServerMissing`. */
export async function startHiveMq(): Promise<HiveMq> {
  const given = process.env['HIVEMQ_URL'];
  if (given === undefined || given === '') return startOwnHiveMq();
  return { url: given, webSocketUrl: undefined, stop: () => Promise.resolve() };
}

/** HiveMQ, built by Maven, on free ports and an empty folder, its queues in memory. */
async function startOwnHiveMq(): Promise<HiveMq> {
  const program = await built(`hivemq-${VERSION}`, ['java', 'javac', 'mvn'], async (folder) => {
    const target = join(folder, 'hivemq');
    await mkdir(target);
    await writeFile(join(folder, 'pom.xml'), POM);
    await writeFile(join(folder, 'HiveMqMain.java'), MAIN);
    const libraries = join(target, 'lib');
    await run('hivemq', folder, 'mvn', ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${libraries}`]);
    await run('hivemq', folder, 'javac', ['-cp', join(libraries, '*'), '-d', target, 'HiveMqMain.java']);
    return target;
  });
  const directory = await mkdtemp(join(tmpdir(), 'sluice-hivemq-'));
  for (const name of ['conf', 'data', 'extensions']) await mkdir(join(directory, name));
  const [port, webSocketPort] = [await freePort(), await freePort()];
  await writeFile(join(directory, 'conf', 'config.xml'), configuration(port, webSocketPort));
  const server = await startProcess({
    command: 'java',
    // One core for its many pools is enough for a test, and leaves the other to it.
    args: [
      '-Xmx256m',
      '-XX:TieredStopAtLevel=1',
      '-cp',
      [program, join(program, 'lib', '*')].join(delimiter),
      'HiveMqMain',
      directory,
    ],
    cwd: directory,
    // It opens its listeners in their order.
    port: webSocketPort,
  });
  return {
    url: `mqtt://127.0.0.1:${port}`,
    webSocketUrl: `ws://127.0.0.1:${webSocketPort}/mqtt`,
    stop: async () => {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function configuration(port: number, webSocketPort: number): string {
  return `<?xml version="1.0"?>
<hivemq xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <listeners>
    <tcp-listener>
      <port>${port}</port>
      <bind-address>127.0.0.1</bind-address>
    </tcp-listener>
    <websocket-listener>
      <port>${webSocketPort}</port>
      <bind-address>127.0.0.1</bind-address>
      <path>/mqtt</path>
      <subprotocols><subprotocol>mqtt</subprotocol></subprotocols>
    </websocket-listener>
  </listeners>
  <!-- By default it drops what exceeds 1,000, although the publisher got its PUBACK. -->
  <mqtt><queued-messages><max-queue-size>100000</max-queue-size></queued-messages></mqtt>
  <persistence><mode>in-memory</mode></persistence>
  <anonymous-usage-statistics><enabled>false</enabled></anonymous-usage-statistics>
</hivemq>
`;
}
