/** The part of Node-RED's embedding API (https://nodered.org/docs/user-guide/runtime/embedding) that the launcher uses. */
declare module 'node-red' {
  import type { EventEmitter } from 'node:events';
  import type { IncomingMessage, Server, ServerResponse } from 'node:http';

  interface Answer {
    type(type: string): Answer;
    send(body: string): void;
    status(code: number): Answer;
    json(body: object): void;
  }
  type Handler = (request: unknown, response: Answer, next: (error?: unknown) => void) => void;
  type Application = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

  const RED: {
    init(server: Server, settings: Record<string, unknown>): void;
    start(): Promise<void>;
    stop(): Promise<void>;
    readonly httpAdmin: Application & { get(path: string, ...handlers: Handler[]): void };
    readonly auth: { needsPermission(permission: string): Handler };
    readonly httpNode: Application;
    readonly events: EventEmitter;
    readonly runtime: { readonly events: EventEmitter };
    readonly version: string;
  };
  export default RED;
}
