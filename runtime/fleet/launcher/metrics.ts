import { Gauge, Registry } from 'prom-client';
import type { LoadSignal } from '../scaling/load-signal.js';
import type { FleetStatus } from './status.js';

/** What the launcher of a fleet knows, for Prometheus (text format 0.0.4), and for what scales by it. */
export async function fleetMetrics(
  { fleet, slots, dangers, forged, ledger }: FleetStatus,
  load: LoadSignal,
): Promise<string> {
  const registry = new Registry();
  registry.setDefaultLabels({ fleet });
  const gauge = (name: string, help: string, value: number | undefined): void => {
    if (value !== undefined) new Gauge({ name, help, registers: [registry] }).set(value);
  };
  const workers = slots.filter(({ role }) => role === 'worker');
  const taking = workers.filter(({ takesMessages }) => takesMessages);
  gauge('sluice_fleet_workers', 'Slots of workers that are held.', workers.length);
  gauge('sluice_fleet_workers_ready', 'Workers that messages go to.', taking.length);
  gauge(
    'sluice_fleet_window_saturation',
    'The mean share of the time that the workers’ windows were full, 0 to 1.',
    load.window,
  );
  gauge('sluice_fleet_message_age_seconds', 'The greatest age of messages at receipt.', load.ageSeconds);
  gauge('sluice_fleet_dangers', 'Slots whose data wait until somebody acts. It should be 0.', dangers.length);
  gauge(
    'sluice_fleet_forged_messages',
    'Messages on the fleet’s topics that nobody with the secret has signed.',
    forged,
  );
  gauge(
    'sluice_fleet_ledger_gap',
    'Deliveries that cannot be accounted for, over all instances. It should be 0.',
    ledger.gap,
  );
  const restarts = new Gauge({
    name: 'sluice_fleet_restarts',
    help: 'How often an instance was started again because it had ended or hung.',
    labelNames: ['slot'],
    registers: [registry],
  });
  for (const { slot, restarts: count } of slots) restarts.set({ slot }, count);
  return registry.metrics();
}
