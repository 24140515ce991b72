import RED from 'node-red';
import { workersText } from '../report/node-report.js';
import type { Running } from './running.js';

/** After the last word of a worker: so a deploy of many gives one notification. */
const QUIET_MS = 700;
/** The editor lets a click close what has a limit; what failed stays until it is read, runs, or is deployed anew. */
const SHOWN_MS = { success: 5_000, error: 3_600_000 };

type Kind = keyof typeof SHOWN_MS;

/** Tells whoever has the editor open what the workers have made of a deploy. */
export class Announcements {
  /** By slot, of this revision. */
  readonly #running = new Map<number, Running>();
  #revision = 0;
  #timer: NodeJS.Timeout | undefined;

  /** @param latest - the editor's own revision */
  heard(running: Running, latest: number): void {
    if (running.wanted !== latest || latest === 0) return;
    if (latest !== this.#revision) this.#running.clear();
    this.#revision = latest;
    const before = this.#running.get(running.slot);
    if (before?.revision === running.revision && before.problem === running.problem) return;
    this.#running.set(running.slot, running);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#show(), QUIET_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #show(): void {
    const all = [...this.#running.values()].sort((one, other) => one.slot - other.slot);
    const good = all.filter(({ revision }) => revision === this.#revision).length;
    // One that says nothing against it is still at it.
    const failed = all.filter(({ revision, problem }) => revision !== this.#revision && problem !== undefined);
    notify('success', good > 0 ? `Revision ${this.#revision} runs on ${workersText(good)}.` : undefined);
    const [first] = failed;
    const slots = `${failed.length === 1 ? 'slot' : 'slots'} ${failed.map(({ slot }) => slot).join(', ')}`;
    notify('error', first && `Revision ${this.#revision} does not run on ${slots}: ${first.problem ?? ''}`);
  }
}

/**
 * In every open editor, in the place of the one before: https://nodered.org/docs/api/ui/notifications/. One without a text
 * takes that away; the editor would write into it even when it has been closed.
 */
function notify(type: Kind, text: string | undefined): void {
  const id = `sluice-fleet-${type}`;
  const emit = (payload: object): boolean => RED.runtime.events.emit('runtime-event', { id, payload, retain: false });
  emit({});
  if (text !== undefined) emit({ type, text: escaped(text), timeout: SHOWN_MS[type] });
}

/** The editor takes a notification for a key of its catalogue, in which `:` and `.` part names, and shows it as HTML. */
function escaped(text: string): string {
  return text.replace(/[^\p{L}\p{N} ]/gu, (char) => `&#${char.codePointAt(0) ?? 0};`);
}
