import { type Case, fn, node, PASS, DEAD } from './case.js';

/** Nodes of Sluice that fail. */
export const SINKS: readonly Case[] = [
  {
    name: 'a sink: fails twice, and is tried again alone',
    nodes: [node('junction', {}, [['sink', 'sink2']], 'j')],
    settings: { sink: { refuses: 'error', refusals: 2 } },
    refusals: 2,
    arrivals: 2,
  },
  {
    name: 'a sink: fails three times',
    nodes: [node('junction', {}, [['sink', 'sink2']], 'j')],
    settings: { sink: { refuses: 'error' } },
    refusals: 3,
    arrivals: 1,
    ends: { deadLettered: 1 },
  },
  {
    name: 'a sink: rejects',
    nodes: [node('junction', {}, [['sink']], 'j')],
    settings: { sink: { refuses: 'rejected' } },
    refusals: 1,
    ...DEAD,
  },
  {
    name: 'a sink: is away for a while',
    nodes: [fn('return msg;', [['sink', 'sink2']])],
    settings: { sink: { refuses: 'unavailable', refusals: 5 } },
    refusals: 5,
    arrivals: 2,
  },
  {
    name: 'a sink behind a function: fails twice, and is tried again alone',
    nodes: [fn('return { payload: 1 };', [['sink', 'sink2']])],
    settings: { sink: { refuses: 'error', refusals: 2 } },
    refusals: 2,
    arrivals: 2,
  },
  {
    name: 'a sink behind a function: rejects; the function is not run again',
    nodes: [fn('return { payload: 1 };', [['sink', 'sink2']])],
    settings: { sink: { refuses: 'rejected' } },
    refusals: 1,
    arrivals: 1,
    ends: { deadLettered: 1 },
  },
  {
    name: 'a sink behind a function: with a node of Sluice between, fails three times',
    nodes: [fn('return msg;', [['r']]), node('probe-pass', PASS, [['g']], 'r'), fn('return msg;', [['sink']], 'g')],
    settings: { sink: { refuses: 'error' } },
    refusals: 3,
    ...DEAD,
  },
  {
    name: 'a function behind a function: with a node of Sluice between, fails three times; both are run again',
    nodes: [
      fn('return msg;', [['r', 'sink']]),
      node('probe-pass', PASS, [['g']], 'r'),
      fn('throw new Error("no");', [[]], 'g'),
    ],
    arrivals: 1,
    arrivalsAfter: 3,
    ends: { deadLettered: 1 },
  },
  {
    name: 'a function that fails: branches beside it, from a node that is not of Sluice, are run again with it',
    nodes: [
      node('junction', {}, [['f', 'sink']], 'j'),
      fn('const n = (context.get("n") || 0) + 1; context.set("n", n); if (n < 3) throw new Error("no"); return msg;', [
        ['sink2'],
      ]),
    ],
    arrivals: 1,
    arrivalsAfter: 4, // at the one three times
  },
];
