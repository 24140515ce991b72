/** The part of Node-RED's embedding API (https://nodered.org/docs/user-guide/runtime/embedding) that the launcher uses. */
declare module 'node-red' {
  import type { EventEmitter } from 'node:events';
  import type { IncomingMessage, Server, ServerResponse } from 'node:http';

  interface Answer {
    type(type: string): Answer;
    send(body: string): void;
    status(code: number): Answer;
    json(body: object): void;
    end(): void;
  }
  type Handler = (request: unknown, response: Answer, next: (error?: unknown) => void) => void;
  type Application = (request: IncomingMessage, response: ServerResponse, next: () => void) => void;

  /** A node, tab, group or subflow as the flows hold it. */
  type FlowEntry = Readonly<Record<string, unknown>> & { readonly id: string; readonly type: string };
  type Credentials = Readonly<Record<string, unknown>>;

  /** https://nodered.org/docs/api/modules/v/1.3/@node-red_runtime_flows.html */
  interface Flows {
    getFlows(options: object): Promise<{ readonly flows: readonly FlowEntry[] }>;
    setFlows(options: {
      flows: { flows: readonly FlowEntry[]; credentials: Readonly<Record<string, Credentials>> };
      deploymentType: 'full' | 'nodes' | 'flows';
    }): Promise<unknown>;
  }

  const RED: {
    init(server: Server, settings: Record<string, unknown>): void;
    start(): Promise<void>;
    stop(): Promise<void>;
    readonly httpAdmin: Application & { get(path: string, ...handlers: Handler[]): void };
    readonly auth: { needsPermission(permission: string): Handler };
    readonly httpNode: Application;
    readonly events: EventEmitter;
    readonly log: { info(text: string): void; warn(text: string): void };
    readonly nodes: {
      getNode(id: string): object | null | undefined;
      getCredentials(id: string): Credentials | undefined;
    };
    readonly runtime: { readonly events: EventEmitter; readonly flows: Flows };
    readonly version: string;
  };
  export default RED;
}
