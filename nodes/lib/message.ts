/**
 * A Node-RED message as Sluice's nodes read and write it. Names that the core `mqtt in` node gives are kept; the MQTT 5
 * properties stand on the message as they do there.
 */
export interface Message {
  _msgid?: string;
  topic?: string;
  payload?: unknown;
  qos?: 0 | 1 | 2;
  retain?: boolean;
  /** What makes this message the same message when it comes again (docs/delivery.md, "Identity"). */
  identity?: string;
  /** When this instance received it, in milliseconds since 1970-01-01T00:00Z. */
  receivedAt?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Buffer;
  /** Seconds. */
  messageExpiryInterval?: number;
  userProperties?: Record<string, string | string[]>;
  /** Why a node would not take the message: on what leaves by a rejected output. */
  rejection?: Rejection;
  [property: string]: unknown;
}

export interface Rejection {
  /** A stable name for the reason, as in the node's counters. */
  readonly code: string;
  /** `expected …, got …` */
  readonly message: string;
  readonly node: { readonly id: string; readonly type: string; readonly name: string };
  readonly [detail: string]: unknown;
}
