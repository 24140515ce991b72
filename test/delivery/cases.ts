import type { FlowNode } from './runtime.js';

/** A flow between a source and sinks, and what becomes of the messages. Ids are local to the case. */
export interface Case {
  readonly name: string;
  /** The first is wired to the source; `sink` and `sink2` are there. */
  readonly nodes: readonly FlowNode[];
  /** How many messages are sent; their payloads are 0, 1, 2, … */
  readonly messages?: number;
  /** How many arrive at sinks. */
  readonly arrivals: number;
  /** How many are settled while the sinks keep what they have. */
  readonly settledBefore?: number;
  /** Where they stand in the ledger, when all are settled. */
  readonly ends?: Readonly<Record<string, number>>;
}

const fn = (func: string, wires: string[][] = [['sink']], id = 'f'): FlowNode => ({
  id,
  type: 'function',
  func,
  outputs: wires.length,
  wires,
});

export const CASES: readonly Case[] = [
  { name: 'wire', nodes: [{ id: 'j', type: 'junction', wires: [['sink']] }], arrivals: 1 },
  { name: 'function: the same message', nodes: [fn('return msg;')], arrivals: 1 },
  { name: 'function: a new message', nodes: [fn('return { payload: msg.payload };')], arrivals: 1 },
  {
    name: 'function: several messages',
    nodes: [fn('return [[{ payload: 1 }, { payload: 2 }], { payload: 3 }];', [['sink'], ['sink2']])],
    arrivals: 3,
  },
  { name: 'function: nothing', nodes: [fn('return null;')], arrivals: 0, settledBefore: 1, ends: { filtered: 1 } },
  {
    name: 'function: after await',
    nodes: [fn('await new Promise((r) => setTimeout(r, 20)); return { payload: 1 };')],
    arrivals: 1,
  },
  {
    name: 'function: late send, then done',
    nodes: [fn('setTimeout(() => { node.send({ payload: 1 }); node.done(); }, 20); return;')],
    arrivals: 1,
  },
  {
    name: 'function: throws',
    nodes: [fn('throw new Error("no");')],
    arrivals: 0,
    settledBefore: 1,
    ends: { deadLettered: 1 },
  },
  {
    name: 'function: error, uncaught',
    nodes: [fn('node.error("no", msg); return;')],
    arrivals: 0,
    settledBefore: 1,
    ends: { deadLettered: 1 },
  },
  {
    name: 'catch',
    nodes: [
      fn('throw new Error("no");', [[]]),
      { id: 'c', type: 'catch', scope: null, uncaught: false, wires: [['sink']] },
    ],
    arrivals: 1,
  },
  {
    name: 'complete',
    nodes: [fn('return null;', [[]]), { id: 'c', type: 'complete', scope: ['f'], uncaught: false, wires: [['sink']] }],
    arrivals: 1,
  },
  {
    name: 'split',
    nodes: [
      fn('msg.payload = [1, 2, 3]; return msg;', [['s']]),
      { id: 's', type: 'split', splt: '\\n', spltType: 'str', arraySplt: 1, arraySpltType: 'len', wires: [['sink']] },
    ],
    arrivals: 3,
  },
  {
    name: 'split, join',
    nodes: [
      fn('msg.payload = [1, 2, 3]; return msg;', [['s']]),
      { id: 's', type: 'split', splt: '\\n', spltType: 'str', arraySplt: 1, arraySpltType: 'len', wires: [['j']] },
      { id: 'j', type: 'join', mode: 'auto', build: 'object', wires: [['sink']] },
    ],
    arrivals: 1,
  },
  {
    name: 'join of three messages',
    nodes: [
      {
        id: 'j',
        type: 'join',
        mode: 'custom',
        build: 'array',
        property: 'payload',
        propertyType: 'msg',
        count: '3',
        joiner: '\\n',
        joinerType: 'str',
        wires: [['sink']],
      },
    ],
    messages: 3,
    arrivals: 1,
  },
  {
    name: 'delay',
    nodes: [
      { id: 'd', type: 'delay', pauseType: 'delay', timeout: '20', timeoutUnits: 'milliseconds', wires: [['sink']] },
    ],
    messages: 3,
    arrivals: 3,
  },
  {
    name: 'fan-out to two functions',
    nodes: [
      { id: 'j', type: 'junction', wires: [['f', 'g']] },
      fn('return { payload: 1 };'),
      fn('return msg;', [['sink2']], 'g'),
    ],
    arrivals: 2,
  },
];
