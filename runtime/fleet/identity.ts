/** The slot of the instance with the editor. Workers have 1 and up. */
export const EDITOR_SLOT = 0;

/** Which instance of which fleet a process is: from it come its name, its client ids and its shared groups. */
export interface FleetIdentity {
  readonly fleet: string;
  readonly slot: number;
}

/** The instance's name, from which the palette makes MQTT client ids: it must come back with the same one. */
export function instanceName({ fleet, slot }: FleetIdentity): string {
  return `${fleet}-${slot}`;
}
