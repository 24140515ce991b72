import RED from 'node-red';
import type { Running } from './running.js';

/** After the last word of a worker: so a deploy of many gives one notification. */
const QUIET_MS = 700;
const SHOWN_MS = 5_000;

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
    if (this.#running.get(running.slot)?.revision === running.revision) return;
    this.#running.set(running.slot, running);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#show(), QUIET_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #show(): void {
    const all = [...this.#running.values()];
    const failed = all.filter(({ revision }) => revision !== this.#revision);
    const good = all.length - failed.length;
    notify('success', `Revision ${this.#revision} runs on ${good} ${good === 1 ? 'worker' : 'workers'}.`, good > 0);
    const [first] = failed;
    if (first === undefined) return;
    notify(
      'error',
      `Revision ${this.#revision} does not run on ${failed.length === 1 ? 'slot' : 'slots'} ${failed.map(({ slot }) => slot).join(', ')}: ${first.problem ?? ''}`,
      true,
    );
  }
}

/** https://nodered.org/docs/api/ui/notifications/ : what the runtime sends to every open editor. */
function notify(type: 'success' | 'error', text: string, isNews: boolean): void {
  if (!isNews) return;
  const payload = { type, text: escaped(text), ...(type === 'success' && { timeout: SHOWN_MS }) };
  RED.runtime.events.emit('runtime-event', { id: `sluice-fleet-${type}`, payload, retain: false });
}

/** The editor takes a notification for a key of its catalogue, in which `:` and `.` part names, and shows it as HTML. */
function escaped(text: string): string {
  return text.replace(/[^\p{L}\p{N} ]/gu, (char) => `&#${char.codePointAt(0) ?? 0};`);
}
