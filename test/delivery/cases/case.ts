import type { FlowNode } from '../runtime.js';

/** A flow between a source and sinks, and what becomes of the messages. Ids are local to the case. */
export interface Case {
  /** The row of the table in docs/delivery.md that it belongs to: a node, or a way to use one. */
  readonly name: string;
  /** The first is wired to the source; `sink` and `sink2` are there. */
  readonly nodes: readonly FlowNode[];
  /** How many messages are sent; their payloads are 0, 1, 2, … */
  readonly messages?: number;
  /** How many arrive at sinks. */
  readonly arrivals: number;
  /** How many have arrived at the end, where sinks that let go bring more. */
  readonly arrivalsAfter?: number;
  /** How many are settled while the sinks keep what they have. */
  readonly settledBefore?: number;
  /** Where they stand in the ledger, when all are settled. */
  readonly ends?: Readonly<Record<string, number>>;
  /** Messages that are sent too late to be waited for, by the type of the node. */
  readonly late?: Readonly<Record<string, number>>;
  /** Of the probes, by their ids: a time limit, how a sink refuses. */
  readonly settings?: Readonly<Record<string, object>>;
  /** How often sinks refuse. */
  readonly refusals?: number;
  /** What the log says. */
  readonly logs?: RegExp;
  /** Where the guarantee ends: why. The case shows that it does. */
  readonly limit?: string;
}

export const fn = (func: string, wires: string[][] = [['sink']], id = 'f'): FlowNode => ({
  id,
  type: 'function',
  func,
  outputs: wires.length,
  wires,
});
export const node = (type: string, settings: object, wires: string[][] = [['sink']], id = 'n'): FlowNode => ({
  id,
  type,
  wires,
  ...settings,
});
export const rule = (p: string, to: unknown, tot = 'str'): object => ({ t: 'set', p, pt: 'msg', to, tot });
export const join = (settings: object): object => ({
  mode: 'custom',
  build: 'array',
  property: 'payload',
  propertyType: 'msg',
  joiner: '\\n',
  joinerType: 'str',
  count: '',
  timeout: '',
  ...settings,
});
export const split = { splt: '\\n', spltType: 'str', arraySplt: 1, arraySpltType: 'len' };
export const delay = (settings: object): object => ({
  pauseType: 'delay',
  timeout: '20',
  timeoutUnits: 'milliseconds',
  rate: '50',
  nbRateUnits: '1',
  rateUnits: 'second',
  randomFirst: '1',
  randomLast: '20',
  randomUnits: 'milliseconds',
  drop: false,
  outputs: 1,
  ...settings,
});
export const trigger = (settings: object): object => ({
  op1: '1',
  op2: '0',
  op1type: 'str',
  op2type: 'str',
  duration: '20',
  extend: false,
  units: 'ms',
  reset: '',
  bytopic: 'all',
  topic: 'topic',
  outputs: 1,
  ...settings,
});
export const catchAll = { scope: null, uncaught: false };
export const throws = (wires: string[][] = [[]]): FlowNode => fn('throw new Error("no");', wires);
export const DEAD = { arrivals: 0, settledBefore: 1, ends: { deadLettered: 1 } };
export const ENDS = { arrivals: 0, settledBefore: 1, ends: { filtered: 1 } };
export const range = (count: number): number[] => Array.from({ length: count }, (_value, index) => index);
/** Of the probe that passes all on, as a node of Sluice. */
export const PASS = { configVersion: 1 };
