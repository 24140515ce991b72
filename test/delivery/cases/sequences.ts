import { type Case, node, fn, join, split, DEAD } from './case.js';

/** Core nodes for sequences of messages. */
export const SEQUENCES: readonly Case[] = [
  {
    name: 'sort',
    nodes: [
      fn('msg.payload = [2, 1]; return msg;', [['n']]),
      node('sort', {
        order: 'ascending',
        as_num: true,
        target: 'payload',
        targetType: 'msg',
        msgKey: 'payload',
        msgKeyType: 'elem',
        seqKey: 'payload',
        seqKeyType: 'msg',
      }),
    ],
    arrivals: 1,
  },

  { name: 'split', nodes: [fn('msg.payload = [1, 2, 3]; return msg;', [['n']]), node('split', split)], arrivals: 3 },
  {
    name: 'split: then join',
    nodes: [
      fn('msg.payload = [1, 2, 3]; return msg;', [['n']]),
      node('split', split, [['j']]),
      node('join', { mode: 'auto', build: 'object' }, [['sink']], 'j'),
    ],
    arrivals: 1,
  },
  {
    name: 'split: then a function, then join',
    nodes: [
      fn('msg.payload = [1, 2, 3]; return msg;', [['n']]),
      node('split', split, [['g']]),
      fn('return { ...msg, payload: msg.payload * 2 };', [['j']], 'g'),
      node('join', { mode: 'auto', build: 'object' }, [['sink']], 'j'),
    ],
    arrivals: 1,
  },
  { name: 'join: of several messages', nodes: [node('join', join({ count: '3' }))], messages: 3, arrivals: 1 },
  {
    name: 'batch',
    nodes: [
      node('batch', { mode: 'count', count: '2', overlap: '0', interval: '1', allowEmptySequence: false, topics: [] }),
    ],
    messages: 4,
    arrivals: 4,
  },
  {
    name: 'batch: then join',
    nodes: [
      node('batch', { mode: 'count', count: '2', overlap: '0', interval: '1', allowEmptySequence: false, topics: [] }, [
        ['j'],
      ]),
      node('join', { mode: 'auto', build: 'object' }, [['sink']], 'j'),
    ],
    messages: 4,
    arrivals: 2,
  },
  {
    name: 'sort: of several messages',
    nodes: [
      fn('msg.parts = { id: "s", index: msg.payload, count: 3 }; return msg;', [['n']]),
      node('sort', {
        order: 'descending',
        as_num: true,
        target: 'payload',
        targetType: 'seq',
        msgKey: 'payload',
        msgKeyType: 'elem',
        seqKey: 'payload',
        seqKeyType: 'msg',
      }),
    ],
    messages: 3,
    arrivals: 3,
  },
  {
    name: 'split: as a stream',
    nodes: [fn('msg.payload = "a\\nb"; return msg;', [['n']]), node('split', { ...split, stream: true })],
    messages: 2,
    arrivals: 2,
    limit: 'it completes a message whose last part waits for the next',
  },
  {
    name: 'split: of what cannot be split',
    nodes: [fn('delete msg.payload; return msg;', [['n']]), node('split', split)],
    settings: { source: { timeLimit: 1 } },
    ...DEAD,
    limit: 'it never completes such a message: it becomes a dead letter at the time limit',
  },
  {
    name: 'join: of what is never complete',
    nodes: [node('join', join({ count: '3' }))],
    messages: 2,
    arrivals: 0,
    settledBefore: 2,
    settings: { source: { timeLimit: 1 } },
    ends: { deadLettered: 2 },
    logs: /expected join "join" \(.*\) to complete within 1 s, got nothing/,
    limit: 'it waits for the rest: give it a timeout that is below the time limit of the source',
  },
  {
    name: 'join: with a timeout',
    nodes: [node('join', join({ count: '3', timeout: '0.05' }))],
    messages: 2,
    arrivals: 1,
  },
  {
    name: 'join: reduce',
    nodes: [
      fn('msg.payload = [1, 2, 3]; return msg;', [['p']]),
      node('split', split, [['n']], 'p'),
      node('join', {
        mode: 'reduce',
        reduceRight: false,
        reduceExp: '$A + payload',
        reduceInit: '0',
        reduceInitType: 'num',
        reduceFixup: '',
      }),
    ],
    messages: 2,
    arrivals: 2,
  },
  {
    name: 'join: what fails behind it fails for all',
    nodes: [node('join', join({ count: '2' }), [['f']]), fn('throw new Error("no");')],
    messages: 2,
    arrivals: 0,
    settledBefore: 2,
    ends: { deadLettered: 2 },
  },
  {
    name: 'join: a sink that rejects what it has put together',
    nodes: [node('join', join({ count: '2' }))],
    messages: 2,
    arrivals: 0,
    settledBefore: 2,
    settings: { sink: { refuses: 'rejected' } },
    refusals: 1,
    ends: { deadLettered: 2 },
  },
  {
    name: 'join: two of them, beside each other',
    nodes: [
      node('junction', {}, [['n', 'm']], 'j'),
      node('join', join({ count: '2' }), [['sink']]),
      node('join', join({ count: '3' }), [['sink2']], 'm'),
    ],
    messages: 6,
    arrivals: 5,
  },
  {
    name: 'batch: that overlap',
    nodes: [
      node('batch', { mode: 'count', count: '2', overlap: '1', interval: '1', allowEmptySequence: false, topics: [] }, [
        ['j'],
      ]),
      node('join', { mode: 'auto', build: 'object' }, [['sink']], 'j'),
    ],
    messages: 4,
    arrivals: 3,
    settings: { source: { timeLimit: 1 } },
    ends: { stored: 3, deadLettered: 1 },
    limit: 'the last message waits for the next batch; without one it becomes a dead letter at the time limit',
  },
  {
    name: 'batch: by time',
    nodes: [
      node(
        'batch',
        {
          mode: 'interval',
          count: '2',
          overlap: '0',
          interval: '0.05',
          allowEmptySequence: false,
          topics: [],
        },
        [['j']],
      ),
      node('join', { mode: 'auto', build: 'object' }, [['sink']], 'j'),
    ],
    messages: 3,
    arrivals: 1,
  },
  {
    name: 'batch: concatenates by topic',
    nodes: [
      fn('msg.topic = msg.payload ? "b" : "a"; msg.parts = { id: msg.topic, index: 0, count: 1 }; return msg;', [
        ['n'],
      ]),
      node(
        'batch',
        {
          mode: 'concat',
          count: '2',
          overlap: '0',
          interval: '1',
          allowEmptySequence: false,
          topics: [{ topic: 'a' }, { topic: 'b' }],
        },
        [['j']],
      ),
      node('join', { mode: 'auto', build: 'object' }, [['sink']], 'j'),
    ],
    messages: 2,
    arrivals: 1,
  },
  {
    name: 'batch: concatenates, and gets a topic that is not listed',
    nodes: [
      fn('msg.topic = "c"; msg.parts = { id: "c", index: 0, count: 1 }; return msg;', [['n']]),
      node('batch', {
        mode: 'concat',
        count: '2',
        overlap: '0',
        interval: '1',
        allowEmptySequence: false,
        topics: [{ topic: 'a' }, { topic: 'b' }],
      }),
    ],
    settings: { source: { timeLimit: 1 } },
    ...DEAD,
    logs: /expected batch "batch" \(.*\) to complete within 1 s, got nothing/,
    limit: 'it never completes such a message: it becomes a dead letter at the time limit',
  },
];
