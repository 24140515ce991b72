import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { environment } from '../../launcher/environment.js';
import { sameText } from '../../launcher/same-text.js';
import { messageOf, UserError } from '../../launcher/user-error.js';

/** What can be asked, by method and path: `'POST /scale'`. What it resolves with is the answer, a string as plain text. */
export type Routes = Readonly<Record<string, Route>>;

type Route = (body: Readonly<Record<string, unknown>>) => unknown;

/** Longer than any request of ours. */
const MOST_BYTES = 64 * 1024;

/** How commands, on loopback, and Prometheus ask the launcher of a fleet: for those who know the token. */
export class ControlServer {
  readonly #server: Server;
  readonly #routes: Routes;
  readonly #token: string;

  private constructor(routes: Routes, token: string) {
    this.#routes = routes;
    this.#token = token;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  /** @param port - 0: any free one */
  static async start(routes: Routes, token: string, port: number, host = '127.0.0.1'): Promise<ControlServer> {
    const control = new ControlServer(routes, token);
    control.#server.listen(port, host);
    try {
      await once(control.#server, 'listening');
    } catch (error) {
      throw new UserError(`expected the port ${port} on ${host} to be free, got ${messageOf(error)}`, { cause: error });
    }
    return control;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeIdleConnections();
    // What is asked of a launcher that stops is answered, or its connection ends with the process.
    await Promise.race([once(this.#server, 'close'), new Promise((resolve) => setTimeout(resolve, 1_000).unref())]);
    this.#server.closeAllConnections();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const name = `${request.method ?? ''} ${pathname}`;
    const route = Object.hasOwn(this.#routes, name) ? this.#routes[name] : undefined;
    if (!this.#mayAsk(request, name)) send(response, 401, { message: 'expected the token of the fleet' });
    else if (route === undefined) send(response, 404, { message: `expected something to ask for, got ${name}` });
    else await this.#follow(route, request, response);
  }

  async #follow(route: Route, request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      send(response, 200, (await route(await bodyOf(request))) ?? {});
    } catch (error) {
      send(response, error instanceof UserError ? 409 : 500, { message: messageOf(error) });
    }
  }

  /** Prometheus has a token that stays, and reads the metrics only. */
  #mayAsk({ headers }: IncomingMessage, name: string): boolean {
    const given = headers.authorization ?? '';
    const reader = environment('SLUICE_METRICS_TOKEN');
    if (name === 'GET /metrics' && reader !== undefined && sameText(given, `Bearer ${reader}`)) return true;
    return sameText(given, `Bearer ${this.#token}`);
  }
}

async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  if (request.method === 'GET' || Number(request.headers['content-length'] ?? 0) > MOST_BYTES) return {};
  const body = await text(request);
  return body === '' ? {} : (JSON.parse(body) as Record<string, unknown>);
}

function send(response: ServerResponse, status: number, answer: unknown): void {
  const isText = typeof answer === 'string';
  response.writeHead(status, { 'Content-Type': isText ? 'text/plain; version=0.0.4' : 'application/json' });
  response.end(isText ? answer : JSON.stringify(answer));
}
