/** The mongo-sink node in a flow of its own, as the suites of what it can be asked for use it. */
import { Instance } from '../nodes/adapter/instance.js';
import type { Red } from '../nodes/adapter/red.js';
import type { Message } from '../nodes/lib/message.js';
import mongoConnection from '../nodes/mongo-connection/mongo-connection.js';
import mongoSink from '../nodes/mongo-sink/mongo-sink.js';
import { useNodeRed, type TestNode } from './node-red.js';

export function useMongoSink() {
  const red = useNodeRed();
  let instance: Instance;

  const running = () => instance.nodes.get('sink');

  async function through(output: 'stored' | 'rejected', ...messages: Message[]): Promise<Message[]> {
    const left = red.messages(output, messages.length);
    for (const message of messages) red.send('sink', message);
    return left;
  }

  return {
    ...red,
    async load(url: string, database: string, sink: Record<string, unknown> = {}): Promise<void> {
      await red.load(
        [mongoConnection, mongoSink, (observed: Red): void => void (instance = Instance.of(observed))],
        [
          { id: 'connection', type: 'mongo-connection', uri: url, database, serverSelectionTimeout: 500 },
          { id: 'sink', type: 'mongo-sink', connection: 'connection', wires: [['stored'], ['rejected']], ...sink },
          { id: 'stored', type: 'helper' },
          { id: 'rejected', type: 'helper' },
        ],
      );
    },
    /** Sends, and gives what leaves by an output. */
    through,
    /** Sends, and gives why each was rejected. */
    async rejections(...messages: Message[]): Promise<{ code: string; message: string }[]> {
      const left = await through('rejected', ...messages);
      return left.map(({ rejection }) => ({ code: rejection?.code ?? '', message: rejection?.message ?? '' }));
    },
    counters: (): Record<string, number> => running()?.counters.snapshot() ?? {},
    /** The first status of the sink since the load that matches, or the next. */
    async statusLike(pattern: RegExp): Promise<{ fill?: string; text?: string }> {
      const sink = red.node('sink');
      const spy = Reflect.get(sink, 'status') as unknown as {
        args: [{ fill?: string; text: string }][];
        thisValues: TestNode[];
      };
      const past = spy.args.filter((_args, index) => spy.thisValues[index] === sink).map(([status]) => status);
      return past.find(({ text }) => pattern.test(text)) ?? red.status('sink', pattern);
    },
    /** The whole sentence of which the status shows the beginning. */
    sentence: (): string => running()?.status.text ?? '',
    /** What a node with wrong settings logs at deploy. */
    complaint: (pattern: RegExp): string | undefined => red.logged().find((line) => pattern.test(line)),
  };
}
