import { type Case, node, fn, throws, catchAll, DEAD } from './case.js';

/** Nodes that hear of others: catch, complete, status. */
export const EVENTS: readonly Case[] = [
  { name: 'catch: all', nodes: [throws(), node('catch', catchAll, [['sink']], 'c')], arrivals: 1 },
  {
    name: 'catch: of a node',
    nodes: [throws(), node('catch', { scope: ['f'], uncaught: false }, [['sink']], 'c')],
    arrivals: 1,
  },
  {
    name: 'catch: two of them',
    nodes: [throws(), node('catch', catchAll, [['sink']], 'c'), node('catch', catchAll, [['sink2']], 'e')],
    arrivals: 2,
  },
  {
    name: 'catch: uncaught only',
    nodes: [throws(), node('catch', { scope: null, uncaught: true }, [['sink']], 'c')],
    arrivals: 1,
  },
  {
    name: 'catch: of node.error()',
    nodes: [fn('node.error("no", msg); return;', [[]]), node('catch', catchAll, [['sink']], 'c')],
    arrivals: 1,
  },
  {
    name: 'catch: a function that is called back with an error',
    nodes: [fn('await Promise.reject(new Error("no"));', [[]]), node('catch', catchAll, [['sink']], 'c')],
    arrivals: 1,
  },
  {
    name: 'catch: of another node',
    nodes: [throws(), fn('return msg;', [[]], 'g'), node('catch', { scope: ['g'], uncaught: false }, [['sink']], 'c')],
    ...DEAD,
  },
  {
    name: 'complete',
    nodes: [fn('return null;', [[]]), node('complete', { scope: ['f'], uncaught: false }, [['sink']], 'c')],
    arrivals: 1,
  },
  {
    name: 'complete: beside what is sent',
    nodes: [fn('return msg;', [['sink2']]), node('complete', { scope: ['f'], uncaught: false }, [['sink']], 'c')],
    arrivals: 2,
  },
  {
    name: 'status',
    nodes: [
      fn('node.status({ text: String(msg.payload) }); return null;', [[]]),
      node('status', { scope: ['f'] }, [['sink']], 'c'),
    ],
    arrivals: 1,
  },
  {
    name: 'catch: of a group',
    nodes: [
      { id: 'g1', type: 'group', nodes: ['f', 'c'], style: {}, w: 1, h: 1 },
      { ...throws(), g: 'g1' },
      { ...node('catch', { scope: 'group', uncaught: false }, [['sink']], 'c'), g: 'g1' },
    ],
    arrivals: 1,
  },
  {
    name: 'catch: of another group',
    nodes: [
      { id: 'g1', type: 'group', nodes: ['c'], style: {}, w: 1, h: 1 },
      throws(),
      { ...node('catch', { scope: 'group', uncaught: false }, [['sink']], 'c'), g: 'g1' },
    ],
    ...DEAD,
  },
  {
    name: 'catch: what fails behind it',
    nodes: [
      throws(),
      node('catch', { scope: ['f'], uncaught: false }, [['g']], 'c'),
      fn('throw new Error("again");', [['sink']], 'g'),
    ],
    ...DEAD,
  },
  {
    name: 'catch: of 50 messages at once',
    nodes: [
      fn('await null; if (msg.payload % 2) throw new Error("no"); return msg;', [['sink2']]),
      node('catch', catchAll, [['sink']], 'c'),
    ],
    messages: 50,
    arrivals: 50,
  },
  {
    name: 'catch: of a sink of Sluice that rejects',
    nodes: [fn('return msg;'), node('catch', catchAll, [['sink2']], 'c')],
    settings: { sink: { refuses: 'rejected' } },
    refusals: 1,
    arrivals: 1,
  },
  {
    name: 'catch: of a sink of Sluice, without a node between',
    nodes: [node('junction', {}, [['sink']], 'j'), node('catch', catchAll, [['sink2']], 'c')],
    settings: { sink: { refuses: 'error' } },
    refusals: 3,
    arrivals: 1,
  },
  {
    name: 'complete: of a sink of Sluice',
    nodes: [fn('return msg;', [['sink']]), node('complete', { scope: ['sink'], uncaught: false }, [['sink2']], 'c')],
    arrivals: 1,
    arrivalsAfter: 2,
  },
  {
    name: 'complete: all of a fan-out',
    nodes: [
      node('junction', {}, [['f', 'g']], 'j'),
      fn('return null;', [[]], 'f'),
      fn('await null; return null;', [[]], 'g'),
      node('complete', { scope: ['f', 'g'], uncaught: false }, [['sink']], 'c'),
    ],
    messages: 5,
    arrivals: 10,
  },
  {
    name: 'status: of a sink of Sluice',
    nodes: [fn('return msg;'), node('status', { scope: ['sink'] }, [['sink2']], 'c')],
    arrivals: 1,
  },
];
