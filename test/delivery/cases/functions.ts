import { type Case, fn, throws, DEAD, ENDS } from './case.js';

/** Function nodes. */
export const FUNCTIONS: readonly Case[] = [
  { name: 'function: the same message', nodes: [fn('return msg;')], arrivals: 1 },
  { name: 'function: a new message', nodes: [fn('return { payload: msg.payload };')], arrivals: 1 },
  { name: 'function: a message out of JSON', nodes: [fn('return JSON.parse(JSON.stringify(msg));')], arrivals: 1 },
  {
    name: 'function: several messages',
    nodes: [fn('return [[{ payload: 1 }, { payload: 2 }], { payload: 3 }];', [['sink'], ['sink2']])],
    arrivals: 3,
  },
  { name: 'function: nothing', nodes: [fn('return null;')], ...ENDS },
  {
    name: 'function: after await',
    nodes: [fn('await new Promise((r) => setTimeout(r, 20)); return { payload: 1 };')],
    arrivals: 1,
  },
  {
    name: 'function: late send, then node.done()',
    nodes: [fn('setTimeout(() => { node.send({ payload: 1 }); node.done(); }, 20); return;')],
    messages: 2,
    arrivals: 2,
  },
  {
    name: 'function: node.done() twice',
    nodes: [fn('node.send({ payload: 1 }); node.done(); node.done(); return;')],
    arrivals: 1,
  },
  { name: 'function: throws', nodes: [throws([['sink']])], ...DEAD },
  { name: 'function: node.error(), uncaught', nodes: [fn('node.error("no", msg); return;')], ...DEAD },
  {
    name: 'function: node.error(), and sends on',
    nodes: [fn('node.error("no", msg); return msg;', [[]])],
    ...DEAD,
  },
  {
    name: 'function: sends from a timer',
    nodes: [fn('setTimeout(() => node.send({ payload: 1 }), 500); return;')],
    arrivals: 1,
    settledBefore: 1,
    ends: { filtered: 1 },
    late: { function: 1 },
    limit: 'it has completed before it sends: call node.done() after the send',
  },
  {
    name: 'function: keeps a message for later',
    nodes: [
      fn(
        'const kept = context.get("kept"); context.set("kept", msg.payload === 0 ? 1 : 0); return kept ? { payload: 2 } : null;',
      ),
    ],
    messages: 2,
    arrivals: 1,
    settledBefore: 1,
    ends: { filtered: 1, stored: 1 },
    limit: 'what it has kept is settled: nothing says that it will be sent',
  },
  {
    name: 'function: node.send several times',
    nodes: [
      fn(
        'for (let i = 0; i < 3; i++) node.send({ payload: i }); await null; node.send([{ payload: 3 }, null]); return msg;',
      ),
    ],
    messages: 2,
    arrivals: 10,
  },
  {
    name: 'function: node.send without a copy',
    nodes: [fn('node.send(msg, false); node.send(msg, false); return msg;', [['sink', 'sink2']])],
    arrivals: 6,
  },
  {
    name: 'function: an error after what it has sent',
    nodes: [fn('node.send({ payload: 1 }); throw new Error("no");')],
    arrivals: 1,
    arrivalsAfter: 3,
    ends: { deadLettered: 1 },
  },
  {
    name: 'function: fails twice, then not',
    nodes: [
      fn('const n = (context.get("n") || 0) + 1; context.set("n", n); if (n < 3) throw new Error("no"); return msg;'),
    ],
    arrivals: 1,
  },
  {
    name: 'function: keeps a message over await, beyond its time limit',
    nodes: [fn('await new Promise((r) => setTimeout(r, 3000)); return { payload: 1 };')],
    settings: { source: { timeLimit: 1 } },
    ...DEAD,
    logs: /expected function "function" \(.*\) to complete within 1 s, got nothing/,
    limit: 'it has the message for longer than the time limit of the source: make that longer',
  },
];
