import { once } from 'node:events';
import { createRequire } from 'node:module';
import helper from 'node-red-node-test-helper';
import type { Red, RedNode } from '../nodes/adapter/red.js';
import type { Message } from '../nodes/lib/message.js';

type Entry = (red: Red) => void;
export type FlowNode = Record<string, unknown> & { id: string; type: string };

const require = createRequire(createRequire(import.meta.url).resolve('node-red'));
const { hooks } = require('@node-red/util') as Pick<Red, 'hooks'>;

/** The helper gives nodes no hooks. */
const complete = (red: Red): void => void Object.assign(red, { hooks });

/** A node as a test sees it: Node-RED's own, with what the helper adds. */
export interface TestNode extends RedNode {
  receive(message: Message): void;
  emit(event: string, ...parameters: unknown[]): boolean;
  on(event: string, listener: (...parameters: never[]) => void): this;
  off(event: string, listener: (...parameters: never[]) => void): this;
}

/**
 * Node-RED with our nodes, for one `describe`: started before its tests, its flow unloaded after each. The flow's
 * `helper` nodes are ends of wires that a test reads with `messages`.
 */
export function useNodeRed() {
  before((done) => {
    helper.startServer(done);
  });
  after((done) => {
    helper.stopServer(done);
  });
  afterEach(async () => {
    await helper.unload();
  });

  const node = (id: string): TestNode => helper.getNode(id) as TestNode;

  return {
    /** Loads a flow and starts it, credentials by node id. */
    async load(
      entries: Entry[],
      flow: FlowNode[],
      credentials: Record<string, Record<string, string>> = {},
    ): Promise<void> {
      await helper.load([complete, ...entries] as never, flow as never, credentials as never);
    },
    /** Stops the flow as a deploy does: every node closes. */
    unload: async (): Promise<void> => {
      await helper.unload();
    },
    /** Settings of the runtime, from the next load on. */
    settings(values: Record<string, unknown>): void {
      helper.settings(values);
    },
    node,
    /** Hands a message to a node's input. */
    send: (id: string, message: Message): void => node(id).receive(message),
    /** The next `count` messages that arrive at a helper node, from now on. */
    messages(id: string, count = 1): Promise<Message[]> {
      const target = node(id);
      return new Promise((resolve) => {
        const got: Message[] = [];
        target.on('input', (message: Message) => {
          got.push(message);
          if (got.length === count) resolve(got);
        });
      });
    },
    /** The first status of a node, from now on, whose text matches. */
    async status(id: string, pattern: RegExp): Promise<{ fill?: string; shape?: string; text?: string }> {
      for (;;) {
        const [call] = (await once(node(id) as never, 'call:status')) as [{ args: [{ text?: string }] }];
        if (pattern.test(call.args[0].text ?? '')) return call.args[0];
      }
    },
    /** The next error that a node reports (a message that failed, or a wrong setting at deploy is logged before). */
    async error(id: string): Promise<string> {
      const [call] = (await once(node(id) as never, 'call:error')) as [{ args: [Error | string] }];
      return String(call.args[0]);
    },
    /** What Node-RED has logged since the load, as texts. */
    logged: (): string[] => helper.log().args.map(([entry]) => String((entry as { msg: unknown }).msg)),
    url: (): string => helper.url(),
    request: () => helper.request(),
  };
}
