import type { SettingsSchema } from './settings.js';

/**
 * A config node that a row of a list names. Node-RED knows of a reference only as a property of the node itself: so it
 * counts users, takes config nodes along in an export, gives them new ids in an import and in a subflow, and restarts
 * who uses one that has changed. So the row holds the name of such a property, a slot (`schema3`), which holds the id.
 */
export interface Slot {
  readonly name: string;
  /** The type of config node. */
  readonly node: string;
}

/** The slots of a field that is a list with rows that name a config node; as many as it may have rows. */
export function slotsOf(field: SettingsSchema): Slot[] {
  return Object.entries(field.items?.properties ?? {}).flatMap(([name, { ui }]) =>
    ui?.control === 'node' && ui.node !== undefined
      ? Array.from({ length: field.maxItems ?? 0 }, (_, index) => ({
          name: `${name}${index + 1}`,
          node: ui.node ?? '',
        }))
      : [],
  );
}

/** Settings with the ids in their rows. A row that names no slot has the id itself, as one written by hand may. */
export function fillSlots(
  schema: SettingsSchema,
  settings: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  let filled = settings;
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const rows = settings[name];
    if (slotsOf(field).length > 0 && Array.isArray(rows)) {
      filled = { ...filled, [name]: fillRows(field, rows, settings) };
    }
  }
  return filled;
}

export function fillRows(
  field: SettingsSchema,
  rows: readonly unknown[],
  settings: Readonly<Record<string, unknown>>,
): unknown[] {
  const slots = new Set(slotsOf(field).map(({ name }) => name));
  return rows.map((row) =>
    typeof row === 'object' && row !== null
      ? Object.fromEntries(
          Object.entries(row).map(([key, value]) => [
            key,
            typeof value === 'string' && slots.has(value) && field.items?.properties?.[key]?.ui?.control === 'node'
              ? (settings[value] ?? '')
              : (value as unknown),
          ]),
        )
      : row,
  );
}
