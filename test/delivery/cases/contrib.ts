import { type Case, fn, node, ENDS } from './case.js';

const gate = (defaultState: string): object => ({
  controlTopic: 'control',
  defaultState,
  openCmd: 'open',
  closeCmd: 'close',
  toggleCmd: 'toggle',
  qToggle: false,
  queueCmd: 'queue',
  triggerCmd: 'trigger',
  flushCmd: 'flush',
  resetCmd: 'reset',
  peekCmd: 'peek',
  dropCmd: 'drop',
  statusCmd: 'status',
  defaultCmd: 'default',
  maxQueueLength: '100',
  keepNewest: false,
  persist: false,
  storeName: 'memory',
});
const smooth = (settings: object): object => ({
  property: 'payload',
  action: 'mean',
  count: '3',
  round: '',
  mult: 'single',
  reduce: false,
  ...settings,
});
const CLIENT = {
  id: 'client',
  type: 'mongodb4-client',
  uriTabActive: 'tab-uri-advanced',
  uri: '${MONGO_URL}',
  dbName: 'contrib',
};
const insertOne = node('mongodb4', {
  clientNode: 'client',
  mode: 'collection',
  collection: 'c',
  operation: 'insertOne',
});

/** Packages of others, as test/contrib/package.json has them. */
export const CONTRIB: readonly Case[] = [
  {
    name: 'node-red-contrib-mongodb4: insertOne',
    nodes: [fn('return { payload: { n: msg.payload } };', [['n']]), insertOne, CLIENT],
    messages: 5,
    arrivals: 5,
  },
  {
    name: 'node-red-contrib-mongodb4: a document that the server refuses',
    nodes: [fn('return { payload: { _id: 1 } };', [['n']]), insertOne, CLIENT],
    messages: 2,
    arrivals: 1,
    settledBefore: 1,
    ends: { stored: 1, deadLettered: 1 },
  },
  {
    name: 'node-red-contrib-mongodb4: find, for each',
    nodes: [
      fn('return { payload: [[{ n: 1 }, { n: 2 }]] };', [['i']]),
      node(
        'mongodb4',
        { clientNode: 'client', mode: 'collection', collection: 'f', operation: 'insertMany' },
        [['g']],
        'i',
      ),
      fn('return { payload: {} };', [['n']], 'g'),
      node('mongodb4', {
        clientNode: 'client',
        mode: 'collection',
        collection: 'f',
        operation: 'find',
        output: 'forEach',
      }),
      CLIENT,
    ],
    arrivals: 2,
  },
  { name: 'node-red-node-smooth: mean', nodes: [node('smooth', smooth({}))], messages: 4, arrivals: 4 },
  {
    name: 'node-red-node-smooth: one message for three',
    nodes: [node('smooth', smooth({ reduce: true }))],
    messages: 3,
    arrivals: 1,
    settledBefore: 2,
    ends: { stored: 1, filtered: 2 },
    limit: 'what it has put into its mean is settled before that is sent',
  },
  { name: 'node-red-contrib-queue-gate: open', nodes: [node('q-gate', gate('open'))], messages: 3, arrivals: 3 },
  { name: 'node-red-contrib-queue-gate: closed', nodes: [node('q-gate', gate('closed'))], ...ENDS },
  {
    name: 'node-red-contrib-queue-gate: what it queues',
    nodes: [
      fn(
        'if (msg.payload === 0) return msg; await new Promise((r) => setTimeout(r, 300)); return { topic: "control", payload: "trigger" };',
        [['n']],
      ),
      node('q-gate', gate('queueing')),
    ],
    messages: 2,
    arrivals: 1,
    settledBefore: 1,
    ends: { stored: 1, filtered: 1 },
    limit: 'it completes a message when it queues it',
  },
];
