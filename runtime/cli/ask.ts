import { messageOf, UserError } from '../launcher/user-error.js';

/** A process of ours that answers over HTTP to those who know its token. */
export interface Answering {
  readonly url: string;
  readonly token: string;
}

interface Request {
  readonly method?: 'GET' | 'POST';
  readonly body?: unknown;
  /** Undefined: as long as it takes. */
  readonly withinMs?: number;
}

/** @param path - behind the address: `sluice/status`. @throws UserError with what it says of it, or that it does not answer */
export async function ask({ url, token }: Answering, path: string, request: Request = {}): Promise<unknown> {
  const { method = 'GET', body, withinMs } = request;
  let response: Response;
  try {
    response = await fetch(`${url}${path}`, {
      method,
      headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      ...(withinMs !== undefined && { signal: AbortSignal.timeout(withinMs) }),
    });
    if (response.ok) return await response.json();
  } catch (error) {
    throw new UserError(`expected an answer from ${url}, got ${messageOf(error)}`, { cause: error });
  }
  const { message } = (await response.json().catch(() => ({}))) as { message?: string };
  throw new UserError(message ?? `expected an answer from ${url}${path}, got HTTP ${response.status}`);
}
