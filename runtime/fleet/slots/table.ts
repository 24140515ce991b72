import { existsSync, readFileSync } from 'node:fs';
import { writePrivate } from '../../launcher/run-file.js';
import { UserError } from '../../launcher/user-error.js';
import { EDITOR_SLOT } from '../identity.js';

/** Who a slot belongs to: a process of the launcher, or one that has joined from elsewhere. */
export type Holder =
  { readonly kind: 'here' } | { readonly kind: 'joined'; readonly member: string; readonly host: string };

/**
 * - `held`: there are sessions under its client ids at the broker, and somebody is to read them
 * - `ended`: there are none
 */
interface Slot {
  readonly state: 'held' | 'ended';
  readonly holder: Holder;
  /** ISO 8601. */
  readonly since: string;
}

interface TableFile {
  readonly fleet: string;
  readonly slots: Readonly<Record<string, Slot>>;
}

export const HERE: Holder = { kind: 'here' };

/** Which slots of a fleet are taken, and by whom; kept in a file, since sessions outlive every process. */
export class SlotTable {
  readonly #path: string;
  readonly #slots = new Map<number, Slot>();
  readonly fleet: string;

  /**
   * @param fleet - undefined: the one that the file is of, else `sluice`
   * @throws UserError when the file is of another fleet: the sessions of its slots are under that name
   */
  constructor(path: string, fleet: string | undefined) {
    this.#path = path;
    const file = readTable(path);
    this.fleet = fleet ?? file?.fleet ?? 'sluice';
    if (file === undefined) return;
    if (file.fleet !== this.fleet && Object.values(file.slots).some(({ state }) => state === 'held')) {
      throw new UserError(
        `expected the fleet "${file.fleet}", whose slots ${path} keeps, got "${this.fleet}": ` +
          'choose another folder with --user-dir',
      );
    }
    for (const [slot, entry] of Object.entries(file.slots)) this.#slots.set(Number(slot), entry);
  }

  /** Of a slot that is held. */
  holder(slot: number): Holder | undefined {
    const entry = this.#slots.get(slot);
    return entry?.state === 'held' ? entry.holder : undefined;
  }

  /** The held ones, from the lowest. */
  get held(): number[] {
    return [...this.#slots]
      .filter(([, { state }]) => state === 'held')
      .map(([slot]) => slot)
      .sort((a, b) => a - b);
  }

  /** Of a member that has joined, the slot that it has or had. */
  slotOf(member: string): number | undefined {
    return [...this.#slots].find(([, { holder }]) => holder.kind === 'joined' && holder.member === member)?.[0];
  }

  /** The lowest of a worker that is not held. */
  free(): number {
    let slot = EDITOR_SLOT + 1;
    while (this.holder(slot) !== undefined) slot++;
    return slot;
  }

  hold(slot: number, holder: Holder): void {
    this.#set(slot, 'held', holder);
  }

  end(slot: number): void {
    this.#set(slot, 'ended', this.#slots.get(slot)?.holder ?? HERE);
  }

  #set(slot: number, state: Slot['state'], holder: Holder): void {
    this.#slots.set(slot, { state, holder, since: new Date().toISOString() });
    const file: TableFile = { fleet: this.fleet, slots: Object.fromEntries(this.#slots) };
    writePrivate(this.#path, `${JSON.stringify(file, undefined, 2)}\n`);
  }
}

function readTable(path: string): TableFile | undefined {
  if (!existsSync(path)) return undefined;
  try {
    const file = JSON.parse(readFileSync(path, 'utf8')) as Partial<TableFile>;
    if (typeof file.fleet === 'string' && typeof file.slots === 'object') return file as TableFile;
  } catch (error) {
    throw unreadable(path, error);
  }
  throw unreadable(path);
}

function unreadable(path: string, cause?: unknown): UserError {
  return new UserError(`expected ${path} to say which slots of the fleet are held, got something else`, { cause });
}
