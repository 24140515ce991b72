/**
 * The part of Node-RED's API (5.0, https://nodered.org/docs/creating-nodes/node-js) that Sluice uses. Written by hand:
 * the published types are of Node-RED 1.3 and know neither hooks nor plugins.
 */
import type { EventEmitter } from 'node:events';
import type { Message } from '../lib/message.js';

/** What Node-RED passes to a node's constructor: the node as the flow holds it. */
export type NodeDefinitionInFlow = Record<string, unknown> & { id: string; type: string; name?: string; z?: string };

export interface NodeStatus {
  fill?: 'red' | 'green' | 'yellow' | 'blue' | 'grey';
  shape?: 'ring' | 'dot';
  text?: string;
}

export type InputHandler = (
  message: Message,
  send: (messages: (Message | null)[]) => void,
  done: (error?: Error) => void,
) => void;

export interface RedNode {
  readonly id: string;
  readonly type: string;
  readonly name?: string;
  readonly z?: string;
  readonly wires: readonly (readonly string[])[];
  readonly credentials?: Readonly<Record<string, unknown>>;
  on(event: 'input', handler: InputHandler): void;
  on(event: 'close', handler: (removed: boolean, done: () => void) => void): void;
  send(messages: (Message | null)[]): void;
  status(status: NodeStatus): void;
  log(text: string): void;
  warn(text: string): void;
  error(text: string | Error, message?: Message): void;
}

export interface AdminRequest {
  readonly params: Readonly<Record<string, string>>;
  readonly body: unknown;
  readonly query: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string | undefined>>;
}

export interface AdminResponse {
  status(code: number): AdminResponse;
  json(body: unknown): void;
}

export type AdminHandler = (request: AdminRequest, response: AdminResponse, next: () => void) => void;

export interface Red {
  readonly nodes: {
    createNode(node: unknown, definition: NodeDefinitionInFlow): void;
    registerType(
      type: string,
      constructor: (this: RedNode, definition: NodeDefinitionInFlow) => void,
      options?: { credentials?: Record<string, { type: 'text' | 'password' }> },
    ): void;
    getNode(id: string): RedNode | null | undefined;
  };
  readonly events: EventEmitter;
  readonly settings: { readonly userDir: string };
  readonly util: {
    /** An environment variable as a node sees it: its group's, its tab's, then the process's. */
    getSetting(node: RedNode, name: string): unknown;
    /** As Node-RED copies a message for a second wire. */
    cloneMessage(message: Message): Message;
  };
  readonly httpAdmin: {
    get(path: string, ...handlers: AdminHandler[]): void;
    post(path: string, ...handlers: AdminHandler[]): void;
  };
  readonly auth: { needsPermission(permission: string): AdminHandler };
  readonly plugins: { registerPlugin(id: string, definition: Record<string, unknown>): void };
}
