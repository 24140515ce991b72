import { type Case, node, fn, rule, delay, throws, catchAll, range, PASS, DEAD, ENDS } from './case.js';

/** Ways from node to node. */
export const WIRES: readonly Case[] = [
  { name: 'junction', nodes: [node('junction', {})], arrivals: 1 },
  { name: 'fan-out', nodes: [node('junction', {}, [['sink', 'sink2']])], arrivals: 2 },
  { name: 'an output without a wire', nodes: [node('change', { rules: [rule('payload', 1)] }, [[]])], ...ENDS },
  {
    name: 'a disabled node',
    nodes: [node('junction', {}, [['d', 'sink']]), node('debug', { d: true }, [], 'd')],
    arrivals: 1,
  },
  {
    name: 'a loop',
    nodes: [
      fn('msg.count = (msg.count || 0) + 1; return msg.count < 4 ? [msg, null] : [null, msg];', [['f'], ['sink']]),
    ],
    arrivals: 1,
  },
  {
    name: 'link out, link in',
    nodes: [node('link out', { mode: 'link', links: ['in'] }, []), node('link in', { links: ['n'] }, [['sink']], 'in')],
    arrivals: 1,
  },
  {
    name: 'link call: with its return',
    nodes: [
      node('link call', { links: ['in'], linkType: 'static', timeout: '5' }),
      node('link in', { links: [] }, [['f']], 'in'),
      fn('return { ...msg, payload: 1 };', [['back']]),
      node('link out', { mode: 'return', links: [] }, [], 'back'),
    ],
    messages: 2,
    arrivals: 2,
  },
  {
    name: 'link call: that times out',
    nodes: [
      node('link call', { links: ['in'], linkType: 'static', timeout: '0.05' }, [[]]),
      node('link in', { links: [] }, [[]], 'in'),
    ],
    ...DEAD,
  },
  {
    name: 'link call: an error behind it, caught',
    nodes: [
      node('link call', { links: ['in1'], linkType: 'static', timeout: '0.05' }, [[]]),
      node('link in', { links: [] }, [['f']], 'in1'),
      throws(),
      node('catch', catchAll, [['sink']], 'c'),
    ],
    arrivals: 2, // of the error, and of the call that gets no answer
  },
  {
    name: 'link call: an error behind it, uncaught',
    nodes: [
      node('link call', { links: ['in1'], linkType: 'static', timeout: '0.1' }, [[]]),
      node('link in', { links: [] }, [['f']], 'in1'),
      throws(),
    ],
    ...DEAD,
  },
  {
    name: 'a loop: with a delay',
    nodes: [
      fn('msg.count = (msg.count || 0) + 1; return msg.count < 5 ? [msg, null] : [null, msg];', [['n'], ['sink']]),
      node('delay', delay({ timeout: '5' }), [['f']]),
    ],
    messages: 3,
    arrivals: 3,
  },
  {
    name: 'fan-out: to 50 nodes',
    nodes: [
      node('junction', {}, [range(50).map((index) => `f${index}`)], 'j'),
      ...range(50).map((index) => fn('return { payload: 1 };', [['sink']], `f${index}`)),
    ],
    arrivals: 50,
  },
  {
    name: 'fan-out: from a node of Sluice to 50 nodes that copy',
    nodes: [
      node('probe-pass', PASS, [range(50).map((index) => `f${index}`)], 'r'),
      ...range(50).map((index) => fn('return JSON.parse(JSON.stringify(msg));', [['sink']], `f${index}`)),
    ],
    arrivals: 50,
  },
  {
    name: 'junction: 500 messages at once through several nodes',
    nodes: [
      node('junction', {}, [['f', 'd1']], 'j'),
      fn('return [[{ payload: 1 }, { payload: 2 }]];', [['c1']]),
      node('change', { rules: [rule('topic', '$string(payload)', 'jsonata')] }, [['sink']], 'c1'),
      node('delay', delay({ pauseType: 'random' }), [['sink2']], 'd1'),
    ],
    messages: 500,
    arrivals: 1_500,
  },
  {
    name: 'subflow',
    nodes: [
      node('subflow:sub', {}),
      { id: 'sub', type: 'subflow', in: [{ wires: [{ id: 's1' }] }], out: [{ wires: [{ id: 's1', port: 0 }] }] },
      { ...fn('return { payload: 1 };', [[]], 's1'), z: 'sub' },
    ],
    arrivals: 1,
  },
  {
    name: 'subflow: a function that awaits',
    nodes: [
      node('subflow:sub', {}),
      { id: 'sub', type: 'subflow', in: [{ wires: [{ id: 's1' }] }], out: [{ wires: [{ id: 's1', port: 0 }] }] },
      { ...fn('await new Promise((r) => setTimeout(r, 20)); return { payload: 1 };', [[]], 's1'), z: 'sub' },
    ],
    messages: 3,
    arrivals: 3,
  },
  {
    name: 'subflow: an error, caught within',
    nodes: [
      node('subflow:sub', {}),
      { id: 'sub', type: 'subflow', in: [{ wires: [{ id: 's1' }] }], out: [{ wires: [{ id: 's2', port: 0 }] }] },
      { ...throws(), id: 's1', z: 'sub' },
      { ...node('catch', catchAll, [[]], 's2'), z: 'sub' },
    ],
    arrivals: 1,
  },
  {
    name: 'subflow: an error, caught outside',
    nodes: [
      node('subflow:sub', {}, [[]]),
      { id: 'sub', type: 'subflow', in: [{ wires: [{ id: 's1' }] }], out: [{ wires: [{ id: 's1', port: 0 }] }] },
      { ...throws(), id: 's1', z: 'sub' },
      node('catch', catchAll, [['sink']], 'c'),
    ],
    arrivals: 1,
  },
  {
    name: 'subflow: an error, uncaught',
    nodes: [
      node('subflow:sub', {}, [[]]),
      { id: 'sub', type: 'subflow', in: [{ wires: [{ id: 's1' }] }], out: [{ wires: [{ id: 's1', port: 0 }] }] },
      { ...throws(), id: 's1', z: 'sub' },
    ],
    ...DEAD,
  },
  {
    name: 'subflow: complete within',
    nodes: [
      node('subflow:sub', {}),
      { id: 'sub', type: 'subflow', in: [{ wires: [{ id: 's1' }] }], out: [{ wires: [{ id: 's2', port: 0 }] }] },
      { ...fn('return null;', [[]], 's1'), z: 'sub' },
      { ...node('complete', { scope: ['s1'], uncaught: false }, [[]], 's2'), z: 'sub' },
    ],
    arrivals: 1,
  },
  {
    name: 'subflow: a node of Sluice within',
    nodes: [
      node('subflow:sub', {}),
      { id: 'sub', type: 'subflow', in: [{ wires: [{ id: 's1' }] }], out: [{ wires: [{ id: 's2', port: 0 }] }] },
      { ...node('probe-pass', PASS, [['s2']], 's1'), z: 'sub' },
      { ...fn('return msg;', [[]], 's2'), z: 'sub' },
    ],
    messages: 2,
    arrivals: 2,
  },
  {
    name: 'subflow: one in another',
    nodes: [
      node('subflow:outer', {}),
      { id: 'inner', type: 'subflow', in: [{ wires: [{ id: 's1' }] }], out: [{ wires: [{ id: 's1', port: 0 }] }] },
      { ...fn('await null; return { payload: 1 };', [[]], 's1'), z: 'inner' },
      { id: 'outer', type: 'subflow', in: [{ wires: [{ id: 'i1' }] }], out: [{ wires: [{ id: 'i1', port: 0 }] }] },
      { ...node('subflow:inner', {}, [[]], 'i1'), z: 'outer' },
    ],
    arrivals: 1,
  },
];
