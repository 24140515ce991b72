/** What travels: all that a worker needs to run what was deployed. */
export interface FlowDocument {
  /** As Node-RED deployed them. */
  readonly flows: readonly FlowEntry[];
  /** By the ids of the entries that they belong to. */
  readonly credentials: Credentials;
  /** Values of the environment that the flows refer to. */
  readonly variables: Readonly<Record<string, string>>;
}

export type Credentials = Readonly<Record<string, Readonly<Record<string, unknown>>>>;

/** A node, tab, group or subflow. */
export type FlowEntry = Readonly<Record<string, unknown>> & { readonly id: string; readonly type: string };

export function nodesIn(flows: readonly FlowEntry[]): number {
  return flows.filter(({ type }) => !['tab', 'group', 'subflow'].includes(type)).length;
}

export function textIn(entry: FlowEntry, field: string): string {
  const value = Object.hasOwn(entry, field) ? entry[field] : undefined;
  return typeof value === 'string' ? value : '';
}

/** What a person calls it. */
export function nameOf(entry: FlowEntry): string {
  return textIn(entry, 'name') || entry.id;
}

/** Every text in a value, with the place that it stands at (JSON Pointer). */
export function* textsIn(value: unknown, path = ''): Generator<{ readonly path: string; readonly text: string }> {
  if (typeof value === 'string') yield { path, text: value };
  else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) yield* textsIn(inner, `${path}/${key}`);
  }
}
