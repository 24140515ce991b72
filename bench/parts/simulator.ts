import { config, type Config } from '../../nodes/device-simulator/config.js';
import { Simulation } from '../../nodes/device-simulator/simulation.js';
import { compileSettings } from '../../nodes/lib/settings.js';
import type { Part } from './part.js';

const DEVICES = 1_000;

function simulation(faults: Config['faults']): Simulation {
  const settings = { devices: DEVICES, seq: true, ts: true, messageId: true, seed: 'bench', faults };
  return new Simulation(
    compileSettings<Config>(config).resolve(settings, () => undefined),
    'bench',
  );
}

const plain = simulation([]);
const faulty = simulation([
  { fault: 'malformed', share: 0.01 },
  { fault: 'duplicate', share: 0.01 },
  { fault: 'reorder', share: 0.01 },
]);

/** Messages of a thousand devices as bytes; the baseline makes an object of the same form. */
export const simulatorPart: Part = {
  name: 'simulator',
  times: 100_000,
  ways: {
    'an object and JSON': (times) => {
      for (let seq = 1; seq <= times; seq++) {
        const uuid = `0b8a3c0e-7f55-4c1d-9a44-${String(seq % DEVICES).padStart(12, '0')}`;
        const payload = { uuid, value: 20 + Math.floor(Math.random() * 11), seq, ts: new Date().toISOString() };
        Buffer.from(JSON.stringify({ ...payload, id: `${uuid}:bench:${seq}` }));
      }
    },
    simulator: (times) => make(plain, times),
    'simulator with faults': (times) => make(faulty, times),
  },
};

function make(from: Simulation, times: number): void {
  for (let left = times; left > 0; left--) {
    const { payload } = from.next({ now: new Date(), devices: DEVICES, left });
    if (!Buffer.isBuffer(payload)) Buffer.from(JSON.stringify(payload));
  }
}
