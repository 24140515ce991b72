/** Nodes that are made as contrib packages make theirs, with Node-RED's API alone. Each does one thing that nodes do. */
import type { InputHandler, NodeDefinitionInFlow, Red, RedNode } from '../../nodes/adapter/red.js';

/** Node-RED gives `done` to handlers with three parameters. */
type Raw = (node: RedNode, red: Red, definition: NodeDefinitionInFlow) => InputHandler | undefined;

const RAW: Readonly<Record<string, Raw>> = {
  'raw-without-done': (node) => {
    const handler = (message: never): void => node.send(message);
    return handler as unknown as InputHandler;
  },
  'raw-without-input': () => undefined,
  'raw-done-twice': () => (message, send, done) => {
    send(message as never);
    done();
    setTimeout(done, 20);
    setTimeout(() => done(new Error('late')), 20);
  },
  'raw-receive':
    (_node, red, { target }) =>
    (message, _send, done) => {
      red.nodes.getNode(String(target))?.receive(message);
      done();
    },
  'raw-copies': (_node, red) => (message, send, done) => {
    send(JSON.parse(JSON.stringify(message)) as never);
    send(red.util.cloneMessage(message) as never);
    send(message as never);
    done();
  },
  /** Waits for what is not cleared at a close, as a request is not. */
  'raw-slow': () => (message, send, done) => {
    setTimeout(() => {
      send(message as never);
      done();
    }, 300);
  },
  /** Takes its time to close, so that a deploy takes as long. */
  'raw-closes-slowly': (node) => {
    node.on('close', (_removed, done) => void setTimeout(done, 500));
    return undefined;
  },
  'raw-throws': () => (_message, _send, _done) => {
    throw new Error('thrown');
  },
};

/** Registers them all. */
export default function rawNodes(red: Red): void {
  for (const [type, raw] of Object.entries(RAW)) {
    red.nodes.registerType(type, function (this: RedNode, definition) {
      red.nodes.createNode(this, definition);
      const handler = raw(this, red, definition);
      if (handler !== undefined) this.on('input', handler);
    });
  }
}
