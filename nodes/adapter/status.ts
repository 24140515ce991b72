import type { NodeStatus, RedNode } from './red.js';

/**
 * - `ok`: works
 * - `busy`: on its way to work (connecting, catching up)
 * - `off`: does nothing, and is meant to
 * - `warning`: works, and somebody should look
 * - `error`: does not work until somebody acts, or a server comes back
 */
export type StatusLevel = 'ok' | 'busy' | 'off' | 'warning' | 'error';

const LOOK: Readonly<Record<StatusLevel, NodeStatus>> = {
  ok: { fill: 'green', shape: 'dot' },
  busy: { fill: 'yellow', shape: 'ring' },
  off: { fill: 'grey', shape: 'ring' },
  warning: { fill: 'yellow', shape: 'dot' },
  error: { fill: 'red', shape: 'ring' },
};

/** How Node-RED's editor shows a level. */
export function statusLook(level: StatusLevel): NodeStatus {
  return LOOK[level];
}

/** A text, or what makes it when it is shown: for one that changes with each message. */
export type StatusText = string | (() => string);

const INTERVAL_MS = 1_000;
/** A status lies under its node and over what is beside it; the log has the whole sentence. */
const MOST_CHARACTERS = 60;

/**
 * A node's status line. A new level shows at once; the text of a level that stays (counts, rates) at most once a
 * second, the last one always. Every status starts branches in flows with status nodes, so fewer is better.
 */
export class StatusLine {
  readonly #node: RedNode;
  #shown = '';
  #level: StatusLevel | undefined;
  #shownLevel: StatusLevel | undefined;
  #next: StatusText | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(node: RedNode) {
    this.#node = node;
  }

  get level(): StatusLevel | undefined {
    return this.#level;
  }

  get text(): string {
    return this.#next === undefined ? this.#shown : textOf(this.#next);
  }

  set(level: StatusLevel, text: StatusText): void {
    if (level !== this.#level) {
      this.#level = level;
      this.#show(text);
    } else if (typeof text === 'function' || text !== this.text) {
      this.#next = text;
      this.#timer ??= setTimeout(() => {
        this.#show(this.#next ?? this.#shown);
      }, INTERVAL_MS).unref();
    }
  }

  close(): void {
    clearTimeout(this.#timer);
  }

  #show(next: StatusText): void {
    const text = textOf(next);
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#next = undefined;
    if (text === this.#shown && this.#level === this.#shownLevel) return;
    this.#shown = text;
    this.#shownLevel = this.#level;
    const short = text.length <= MOST_CHARACTERS ? text : `${text.slice(0, MOST_CHARACTERS - 1)}…`;
    this.#node.status({ ...statusLook(this.#level ?? 'off'), text: short });
  }
}

function textOf(text: StatusText): string {
  return typeof text === 'function' ? text() : text;
}
