/** Nodes that have Node-RED show how it treats them. */
import type { InputHandler, Red, RedNode } from '../../nodes/adapter/red.js';
import type { Message } from '../../nodes/lib/message.js';

/** What happens, in its order. */
export const steps: string[] = [];
/** By nodes without `done`. */
export const received: Message[] = [];
const api = Promise.withResolvers<Red>();
/** The API that Node-RED gives to nodes. */
export const loaded = api.promise;

/** Node-RED counts the parameters of a handler. */
const HANDLERS: Readonly<Record<string, (node: RedNode) => void>> = {
  'c-done': (node) =>
    node.on('input', (message, send, done) => {
      send(message as never);
      done();
    }),
  'c-done-twice': (node) => {
    const handler: InputHandler = (_message, _send, done) => done();
    node.on('input', handler);
    node.on('input', (...parameters) => handler(...parameters));
    node.on('input', (_message, _send, done) => done());
  },
  'c-without-done': (node) => {
    const handler = (message: Message): void => void received.push(message);
    node.on('input', handler as InputHandler);
  },
  'c-without-handler': () => undefined,
  'c-fails': (node) =>
    node.on('input', (_message, _send, done) => {
      steps.push('before done');
      done(new Error('no'));
      steps.push('after done');
    }),
  'c-completes': (node) =>
    node.on('input', (_message, _send, done) => {
      steps.push('before done');
      done();
      steps.push('after done');
    }),
};

/** Loaded by Node-RED. */
export default function contractNodes(red: Red): void {
  api.resolve(red);
  for (const [type, make] of Object.entries(HANDLERS)) {
    red.nodes.registerType(type, function (this: RedNode, definition) {
      red.nodes.createNode(this, definition);
      make(this);
      this.on('close', (_removed, done) => {
        steps.push(`close ${this.id}: ${red.nodes.getNode(this.id) === this ? 'active' : 'not active'}`);
        done();
      });
    });
  }
}
