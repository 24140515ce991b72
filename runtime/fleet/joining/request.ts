/** What a worker on another machine asks of the launcher, on `FleetTopics.join`. */
export interface JoinRequest {
  /** New for each; the answer comes on its own topic. */
  readonly nonce: string;
  /** Of the worker's user folder: it comes back to the same slot. */
  readonly member: string;
  readonly host: string;
  /** The only one that it would take. */
  readonly slot?: number;
  /** The one that it would rather take than another, where it has had none and nobody holds it. */
  readonly rather?: number;
}

export type JoinAnswer = { readonly slot: number } | { readonly refused: string };

const ID = /^[A-Za-z0-9-]{8,64}$/;
const HOST = /^[\w.:-]{1,255}$/;

/** @returns undefined for what is no request */
export function decodeJoinRequest(body: Buffer): JoinRequest | undefined {
  const request = parsed(body) as Partial<JoinRequest> | undefined;
  const { nonce = '', member = '', host = '', slot, rather } = request ?? {};
  const right = [nonce, member].every((id) => typeof id === 'string' && ID.test(id)) && HOST.test(host);
  if (!right || ![slot, rather].every(isWorkerSlot)) return undefined;
  return { nonce, member, host, ...(slot !== undefined && { slot }), ...(rather !== undefined && { rather }) };
}

export function decodeJoinAnswer(body: Buffer): JoinAnswer | undefined {
  const { slot, refused } = (parsed(body) ?? {}) as { slot?: unknown; refused?: unknown };
  if (typeof refused === 'string') return { refused };
  return Number.isSafeInteger(slot) ? { slot: slot as number } : undefined;
}

function isWorkerSlot(slot: number | undefined): boolean {
  return slot === undefined || (Number.isSafeInteger(slot) && slot > 0);
}

function parsed(body: Buffer): object | undefined {
  try {
    const value: unknown = JSON.parse(body.toString());
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined; // signed by a version that says other things
  }
}
