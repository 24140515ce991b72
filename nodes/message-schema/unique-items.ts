/** Whether an array holds an item twice, as JSON Schema compares: by value, and without regard to the order of names. */
export function duplicates(items: readonly unknown[]): boolean {
  const seen = new Set<unknown>();
  for (const item of items) {
    const key = typeof item === 'object' && item !== null ? canonical(item) : primitive(item);
    if (seen.has(key)) return true;
    seen.add(key);
  }
  return false;
}

/** A text stands behind a mark, so that no text looks like an object. */
function primitive(item: unknown): unknown {
  return typeof item === 'string' ? `"${item}` : item;
}

function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return value === undefined ? 'undefined' : JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`).join(',')}}`;
}
