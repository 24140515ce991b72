/**
 * The part of Node-RED's API (5.0, https://nodered.org/docs/creating-nodes/node-js) that Sluice uses. Written by hand:
 * the published types are of Node-RED 1.3 and know neither hooks nor plugins.
 */
import type { EventEmitter } from 'node:events';
import { join } from 'node:path';
import type { JsonataEngine, JsonataExpression } from '../lib/jsonata.js';
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
  send: (messages: (Message | null)[]) => void;
  receive(message: Message): void;
  status(status: NodeStatus): void;
  log(text: string): void;
  warn(text: string): void;
  error(text: string | Error, message?: Message): void;
}

/** A message on its way over one wire: https://nodered.org/docs/api/hooks/messaging/ */
export interface SendEvent {
  readonly msg: Message;
  readonly source: { readonly id: string; readonly node: RedNode; readonly port: number };
  readonly destination: { readonly id: string; readonly node: RedNode };
  /** Whether `msg` is a copy made for this wire. */
  readonly cloneMessage: boolean;
}

export interface ReceiveEvent {
  readonly msg: Message;
  readonly destination: { readonly id: string; readonly node: RedNode };
}

export interface CompleteEvent {
  readonly msg: Message;
  readonly error?: unknown;
  readonly node: { readonly id: string; readonly node: RedNode };
}

export interface LogEntry {
  readonly level: number;
  readonly id?: string;
  readonly msg?: unknown;
}

interface LogHandler {
  emit(event: 'log', entry: LogEntry): void;
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

type PreparedExpression = Pick<JsonataExpression, 'assign' | 'ast'>;

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
  readonly hooks: {
    has(hook: string): boolean;
    /** The callback takes one parameter and returns nothing: so it stays synchronous. */
    add(hook: string, callback: (event: never) => void): void;
    remove(hook: string): void;
  };
  readonly log: {
    warn(text: string): void;
    addHandler(handler: LogHandler): void;
    removeHandler(handler: LogHandler): void;
  };
  readonly settings: {
    /** Only a test's runtime has none. */
    readonly userDir?: string;
    readonly editorTheme?: { readonly projects?: { readonly enabled?: boolean; readonly path?: string } };
    get?(name: string): unknown;
  };
  readonly util: {
    /** An environment variable as a node sees it: its group's, its tab's, then the process's. */
    getSetting(node: RedNode, name: string): unknown;
    /** As Node-RED copies a message for a second wire. */
    cloneMessage(message: Message): Message;
    generateId(): string;
    /** JSONata with `$flowContext`, `$globalContext`, `$env`, `$moment`, `$clone`. @throws what JSONata says of the text */
    prepareJSONataExpression(text: string, node: RedNode): PreparedExpression;
    evaluateJSONataExpression(
      expression: PreparedExpression,
      message: Message,
      callback: (error: unknown, result?: unknown) => void,
    ): void;
  };
  readonly httpAdmin: {
    get(path: string, ...handlers: AdminHandler[]): void;
    post(path: string, ...handlers: AdminHandler[]): void;
  };
  readonly auth: { needsPermission(permission: string): AdminHandler };
  readonly plugins: { registerPlugin(id: string, definition: Record<string, unknown>): void };
}

/** The folder that the files of a flow are read from: the active project's, where projects are on, else the user's. */
export function projectFolder({ settings }: Pick<Red, 'settings'>): string | undefined {
  const { userDir, editorTheme } = settings;
  const projects = editorTheme?.projects;
  if (userDir === undefined || projects?.enabled !== true) return userDir;
  const project = (settings.get?.('projects') as { activeProject?: string } | undefined)?.activeProject;
  return project === undefined ? userDir : join(projects.path ?? join(userDir, 'projects'), project);
}

/** JSONata as a node of this runtime evaluates it. */
export function jsonataOf({ util }: Pick<Red, 'util'>, node: RedNode): JsonataEngine {
  return (text) => {
    const expression = util.prepareJSONataExpression(text, node);
    return {
      assign: (name, value) => expression.assign(name, value),
      ast: () => expression.ast(),
      evaluate: (message) =>
        new Promise((resolve, reject) => {
          util.evaluateJSONataExpression(expression, message, (error, result) => {
            if (error === null || error === undefined) resolve(result);
            // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- JSONata throws plain objects
            else reject(error);
          });
        }),
    };
  };
}
