/** Places in a value as JSON Pointers [RFC 6901]. */

const MOST_SHOWN = 200;

/** One step of a pointer. */
export function escapePointer(name: string | number): string {
  return String(name).replaceAll('~', '~0').replaceAll('/', '~1');
}

/** The pointer to a place, as a sentence may have it: cut where it is long, because its names come from a payload. */
export function shownPointer(place: readonly (string | number)[]): string {
  const pointer = place
    .map((name) => `/${escapePointer(name)}`)
    .join('')
    .toWellFormed();
  return pointer.length <= MOST_SHOWN ? pointer : `${pointer.slice(0, MOST_SHOWN)}…`;
}
