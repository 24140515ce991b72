/** What others see and do at a fleet's broker: whoever has no secret of it, with the tools of Mosquitto. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { connectAsync } from 'mqtt';
import { until } from '../sluice.js';

/** Publishes as anybody can who reaches the broker. */
export async function mosquittoPub(port: number, topic: string, payload: Uint8Array, retain = false): Promise<void> {
  const args = ['-h', '127.0.0.1', '-p', String(port), '-V', '5', '-q', '1', '-t', topic, ...(retain ? ['-r'] : [])];
  const child = spawn('mosquitto_pub', [...args, ...(payload.length === 0 ? ['-n'] : ['-s'])], {
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  child.stdin.end(payload);
  const [code] = (await once(child, 'exit')) as [number];
  if (code !== 0) throw new Error(`expected mosquitto_pub to end with 0, got ${code}`);
}

/** Everything that passes on topics of a fleet, and what is retained of it. */
export class Watcher {
  /** The newest of each topic; of an empty one, nothing. */
  readonly retained = new Map<string, Buffer>();
  readonly messages: { readonly topic: string; readonly payload: Buffer }[] = [];
  readonly stop: () => Promise<void>;

  private constructor(stop: () => Promise<void>) {
    this.stop = stop;
  }

  static async start(url: string, filter = 'sluice/#'): Promise<Watcher> {
    const client = await connectAsync(url, { protocolVersion: 5 });
    const watcher = new Watcher(() => client.endAsync());
    client.on('message', (topic, payload) => {
      watcher.messages.push({ topic, payload });
      if (payload.length === 0) watcher.retained.delete(topic);
      else watcher.retained.set(topic, payload);
    });
    await client.subscribeAsync(filter, { qos: 1 });
    return watcher;
  }

  /** What a topic retains, once there is something. */
  async of(topic: string): Promise<Buffer> {
    const payload = await until(
      () => this.retained.get(topic),
      (found) => found !== undefined,
    );
    return payload!;
  }
}
