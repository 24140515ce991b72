import type { FlowNode } from './runtime.js';

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

const fn = (func: string, wires: string[][] = [['sink']], id = 'f'): FlowNode => ({
  id,
  type: 'function',
  func,
  outputs: wires.length,
  wires,
});
const node = (type: string, settings: object, wires: string[][] = [['sink']], id = 'n'): FlowNode => ({
  id,
  type,
  wires,
  ...settings,
});
const rule = (p: string, to: unknown, tot = 'str'): object => ({ t: 'set', p, pt: 'msg', to, tot });
const join = (settings: object): object => ({
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
const split = { splt: '\\n', spltType: 'str', arraySplt: 1, arraySpltType: 'len' };
const delay = (settings: object): object => ({
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
const trigger = (settings: object): object => ({
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
const catchAll = { scope: null, uncaught: false };
const throws = (wires: string[][] = [[]]): FlowNode => fn('throw new Error("no");', wires);
const DEAD = { arrivals: 0, settledBefore: 1, ends: { deadLettered: 1 } };
const ENDS = { arrivals: 0, settledBefore: 1, ends: { filtered: 1 } };

export const CASES: readonly Case[] = [
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
    name: 'link call, with its return',
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
    name: 'link call that times out',
    nodes: [
      node('link call', { links: ['in'], linkType: 'static', timeout: '0.05' }, [[]]),
      node('link in', { links: [] }, [[]], 'in'),
    ],
    ...DEAD,
  },

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
    nodes: [fn('setTimeout(() => node.send({ payload: 1 }), 20); return;')],
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
    name: 'switch',
    nodes: [
      node(
        'switch',
        {
          property: 'payload',
          propertyType: 'msg',
          rules: [{ t: 'eq', v: '0', vt: 'num' }, { t: 'else' }],
          checkall: 'true',
          repair: false,
          outputs: 2,
        },
        [['sink'], ['sink2']],
      ),
    ],
    messages: 3,
    arrivals: 3,
  },
  {
    name: 'switch: JSONata',
    nodes: [
      node('switch', {
        property: '$number(payload) >= 0',
        propertyType: 'jsonata',
        rules: [{ t: 'true' }],
        checkall: 'true',
        repair: false,
        outputs: 1,
      }),
    ],
    messages: 20,
    arrivals: 20,
  },
  {
    name: 'switch: nothing matches',
    nodes: [
      node('switch', {
        property: 'payload',
        propertyType: 'msg',
        rules: [{ t: 'eq', v: '9', vt: 'num' }],
        checkall: 'true',
        repair: false,
        outputs: 1,
      }),
    ],
    ...ENDS,
  },
  { name: 'change', nodes: [node('change', { rules: [rule('payload', 'x')] })], arrivals: 1 },
  {
    name: 'change: JSONata',
    nodes: [node('change', { rules: [rule('payload', '$string(payload)', 'jsonata')] })],
    messages: 10,
    arrivals: 10,
  },
  {
    name: 'range',
    nodes: [
      node('range', {
        minin: '0',
        maxin: '1',
        minout: '0',
        maxout: '10',
        action: 'scale',
        round: false,
        property: 'payload',
      }),
    ],
    arrivals: 1,
  },
  {
    name: 'template',
    nodes: [
      node('template', {
        field: 'payload',
        fieldType: 'msg',
        format: 'handlebars',
        syntax: 'mustache',
        template: 'p {{payload}}',
        output: 'str',
      }),
    ],
    arrivals: 1,
  },
  {
    name: 'filter (rbe)',
    nodes: [
      node('rbe', {
        func: 'rbe',
        gap: '',
        start: '',
        inout: 'out',
        septopics: true,
        property: 'payload',
        topi: 'topic',
      }),
    ],
    messages: 3,
    arrivals: 3,
  },
  { name: 'delay', nodes: [node('delay', delay({}))], messages: 3, arrivals: 3 },
  { name: 'delay: random', nodes: [node('delay', delay({ pauseType: 'random' }))], messages: 3, arrivals: 3 },
  { name: 'delay: rate', nodes: [node('delay', delay({ pauseType: 'rate' }))], messages: 4, arrivals: 4 },
  {
    name: 'delay: rate that drops',
    nodes: [node('delay', delay({ pauseType: 'rate', drop: true }))],
    messages: 3,
    arrivals: 1,
    settledBefore: 2,
    ends: { stored: 1, filtered: 2 },
  },
  {
    name: 'delay: by topic',
    nodes: [node('delay', delay({ pauseType: 'timed', rate: '20' }))],
    messages: 2,
    arrivals: 1,
    settledBefore: 1,
    ends: { stored: 1, filtered: 1 },
  },
  { name: 'trigger: one, then another', nodes: [node('trigger', trigger({}))], arrivals: 2, settledBefore: 0 },
  { name: 'trigger: one, then none', nodes: [node('trigger', trigger({ op2type: 'nul' }))], arrivals: 1 },
  {
    name: 'exec',
    nodes: [
      node('exec', { command: 'echo', addpay: 'payload', append: '', useSpawn: 'false', timer: '', oldrc: false }, [
        ['sink'],
        [],
        [],
      ]),
    ],
    arrivals: 1,
  },
  {
    name: 'debug',
    nodes: [
      node(
        'debug',
        { active: false, tosidebar: false, console: false, tostatus: false, complete: 'payload', targetType: 'msg' },
        [],
      ),
    ],
    ...ENDS,
  },
  {
    name: 'file: write',
    nodes: [
      node('file', {
        filename: '/dev/null',
        filenameType: 'str',
        appendNewline: true,
        createDir: false,
        overwriteFile: 'false',
        encoding: 'none',
      }),
    ],
    arrivals: 1,
  },
  {
    name: 'file in: lines',
    nodes: [
      node('file in', {
        filename: '/etc/passwd',
        filenameType: 'str',
        format: 'utf8',
        chunk: false,
        sendError: false,
        encoding: 'none',
        allProps: false,
      }),
    ],
    arrivals: 1,
  },

  { name: 'json', nodes: [node('json', { property: 'payload', action: '', pretty: false })], arrivals: 1 },
  {
    name: 'json: what is none',
    nodes: [
      fn('msg.payload = "{"; return msg;', [['n']]),
      node('json', { property: 'payload', action: 'obj', pretty: false }),
    ],
    ...DEAD,
  },
  {
    name: 'csv',
    nodes: [
      fn('msg.payload = "a,b\\n1,2\\n3,4"; return msg;', [['n']]),
      node('csv', {
        spec: 'rfc',
        sep: ',',
        hdrin: true,
        hdrout: 'none',
        multi: 'one',
        ret: '\\n',
        temp: '',
        skip: '0',
        strings: true,
      }),
    ],
    arrivals: 2,
  },
  {
    name: 'xml',
    nodes: [
      fn('msg.payload = "<a>1</a>"; return msg;', [['n']]),
      node('xml', { property: 'payload', attr: '', chr: '' }),
    ],
    arrivals: 1,
  },
  {
    name: 'yaml',
    nodes: [fn('msg.payload = "a: 1"; return msg;', [['n']]), node('yaml', { property: 'payload' })],
    arrivals: 1,
  },
  {
    name: 'html',
    nodes: [
      fn('msg.payload = "<p>1</p><p>2</p>"; return msg;', [['n']]),
      node('html', { property: 'payload', outproperty: 'payload', tag: 'p', ret: 'html', as: 'multi' }),
    ],
    arrivals: 2,
  },
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
    name: 'split, join',
    nodes: [
      fn('msg.payload = [1, 2, 3]; return msg;', [['n']]),
      node('split', split, [['j']]),
      node('join', { mode: 'auto', build: 'object' }, [['sink']], 'j'),
    ],
    arrivals: 1,
  },
  {
    name: 'split, function, join',
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
    name: 'batch, join',
    nodes: [
      node('batch', { mode: 'count', count: '2', overlap: '0', interval: '1', allowEmptySequence: false, topics: [] }, [
        ['j'],
      ]),
      node('join', { mode: 'auto', build: 'object' }, [['sink']], 'j'),
    ],
    messages: 4,
    arrivals: 2,
  },
];
