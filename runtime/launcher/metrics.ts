import type { Instance } from '@sluice/node-red/instance';
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';

/** Of the ledger: what ends. The rest of it changes both ways. */
const ENDED = {
  stored: 'stored',
  filtered: 'filtered',
  deadLettered: 'dead-lettered',
  dropped: 'dropped',
  abandoned: 'abandoned',
} as const;

export interface Metrics {
  readonly contentType: string;
  /** As things are now. */
  text(): Promise<string>;
}

const FLOW = ['flow', 'flow_name'] as const;

/**
 * What an instance counts, for Prometheus (text format 0.0.4). Names and labels are listed in docs/metrics.md. Counters run
 * from the start of the process.
 */
export function metricsOf(instance: Instance): Metrics {
  // Taken once for an answer, so that what it says adds up.
  let ledger = instance.ledger();
  let totals = instance.totals();
  const registry = new Registry();
  registry.setDefaultLabels({ instance_name: instance.name });
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  for (const [name, help, field] of [
    ['sluice_deliveries_received_total', 'Messages that came in at the edge of a flow.', 'received'],
    [
      'sluice_deliveries_spooled_at_start_total',
      'Deliveries that an earlier run had left in spools.',
      'spooledAtStart',
    ],
  ] as const) {
    new Counter({
      name,
      help,
      labelNames: FLOW,
      registers,
      collect() {
        this.reset();
        for (const account of ledger.flows) this.inc(labelsOf(account), account[field]);
      },
    });
  }
  for (const [name, help, field] of [
    ['sluice_deliveries_in_flight', 'Deliveries that are not settled.', 'inFlight'],
    [
      'sluice_deliveries_spooled',
      'Deliveries that are acknowledged and on this disk, on their way to a store.',
      'spooled',
    ],
    ['sluice_ledger_gap', 'How many deliveries came in and cannot be accounted for. It should be 0, always.', 'gap'],
  ] as const) {
    new Gauge({
      name,
      help,
      labelNames: FLOW,
      registers,
      collect() {
        this.reset();
        for (const account of ledger.flows) this.set(labelsOf(account), account[field]);
      },
    });
  }
  new Counter({
    name: 'sluice_deliveries_ended_total',
    help: 'Deliveries by what became of them.',
    labelNames: [...FLOW, 'outcome'],
    registers,
    collect() {
      this.reset();
      for (const account of ledger.flows) {
        for (const [field, outcome] of Object.entries(ENDED)) {
          this.inc({ ...labelsOf(account), outcome }, account[field as keyof typeof ENDED]);
        }
      }
    },
  });
  new Counter({
    name: 'sluice_deliveries_ended_reason_total',
    help: 'Deliveries that were not stored, by outcome and reason.',
    labelNames: [...FLOW, 'outcome', 'reason'],
    registers,
    collect() {
      this.reset();
      for (const account of ledger.flows) {
        for (const [text, count] of Object.entries(account.reasons)) {
          const [outcome, reason] = nameAndReason(text);
          this.inc({ ...labelsOf(account), outcome, reason }, count);
        }
      }
    },
  });
  new Counter({
    name: 'sluice_late_sends_total',
    help: 'Messages that nodes sent after their delivery was settled: nobody waits for those.',
    labelNames: [...FLOW, 'node_type'],
    registers,
    collect() {
      this.reset();
      for (const account of ledger.flows) {
        for (const [type, count] of Object.entries(account.late)) {
          this.inc({ ...labelsOf(account), node_type: type }, count);
        }
      }
    },
  });
  new Gauge({
    name: 'sluice_oldest_delivery_seconds',
    help: 'For how long the oldest delivery of a source has been open, and in which node it is.',
    labelNames: ['source', 'holder'],
    registers,
    collect() {
      this.reset();
      for (const { source, holder, seconds } of ledger.oldest) this.set({ source, holder }, seconds);
    },
  });

  const node = ['node', 'node_type', 'node_name'] as const;
  new Counter({
    name: 'sluice_node_events_total',
    help: 'What a node has counted, by its own names and reasons (docs/nodes.md).',
    labelNames: [...node, 'event', 'reason'],
    registers,
    collect() {
      this.reset();
      for (const { id, type, name, counters } of totals) {
        // A count with reasons is exported by them only: so that a sum over them is the whole.
        for (const [text, count] of Object.entries(counters)) {
          const [event, reason] = nameAndReason(text);
          if (reason === '' && hasReasons(counters, event)) continue;
          this.inc({ node: id, node_type: type, node_name: name, event, reason }, count);
        }
      }
    },
  });
  new Gauge({
    name: 'sluice_node_open_messages',
    help: 'Messages that a node has been given and has not completed.',
    labelNames: node,
    registers,
    collect() {
      this.reset();
      for (const { id, type, name, open } of totals) {
        this.set({ node: id, node_type: type, node_name: name }, open);
      }
    },
  });
  for (const [name, help, field] of [
    [
      'sluice_ingest_window_full_seconds_total',
      'For how long as many messages of an ingest were open as may be.',
      'fullSeconds',
    ],
    [
      'sluice_ingest_age_seconds_total',
      'How old messages were at receipt, in sum, of those that say when they were made.',
      'ageSeconds',
    ],
    ['sluice_ingest_aged_messages_total', 'How many messages that sum is of: at most one a millisecond.', 'aged'],
  ] as const) {
    new Counter({
      name,
      help,
      labelNames: node,
      registers,
      collect() {
        this.reset();
        for (const { id, type, name: nodeName, load } of totals) {
          if (load !== undefined) this.inc({ node: id, node_type: type, node_name: nodeName }, load[field]);
        }
      },
    });
  }
  for (const stat of ['mean', 'max'] as const) {
    new Gauge({
      name: `sluice_ingest_recent_age_${stat}_seconds`,
      help: `How old messages of the last ten to twenty seconds were at receipt (${stat}).`,
      labelNames: node,
      registers,
      collect() {
        this.reset();
        for (const { id, type, name, load } of totals) {
          const recent = load?.recentAge;
          if (recent !== undefined) this.set({ node: id, node_type: type, node_name: name }, recent[stat]);
        }
      },
    });
  }
  return {
    contentType: registry.contentType,
    text: () => {
      ledger = instance.ledger();
      totals = instance.totals();
      return registry.metrics();
    },
  };
}

function labelsOf({ id, name }: { readonly id: string; readonly name: string }): Record<(typeof FLOW)[number], string> {
  return { flow: id, flow_name: name };
}

function hasReasons(counters: Readonly<Record<string, number>>, event: string): boolean {
  return Object.keys(counters).some((text) => text.startsWith(`${event}{`));
}

/** `rejected{schema}` → `['rejected', 'schema']` */
function nameAndReason(text: string): [string, string] {
  const [name = '', reason = ''] = text.replace(/\}$/, '').split(/\{(.*)/s);
  return [name, reason];
}
