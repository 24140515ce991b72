import { type Case, node, fn, rule, delay, trigger, split, catchAll, DEAD, ENDS } from './case.js';

/** Core nodes for one message. */
export const CORE: readonly Case[] = [
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
  {
    name: 'switch: a property that cannot be evaluated',
    nodes: [
      node('switch', {
        property: '$number("no")',
        propertyType: 'jsonata',
        rules: [{ t: 'true' }],
        checkall: 'true',
        repair: false,
        outputs: 1,
      }),
    ],
    messages: 3,
    arrivals: 0,
    settledBefore: 3,
    ends: { deadLettered: 3 },
  },
  {
    name: 'switch: a rule that cannot be evaluated, caught',
    nodes: [
      node('switch', {
        property: 'payload',
        propertyType: 'msg',
        rules: [{ t: 'jsonata_exp', v: '$number("no")', vt: 'jsonata' }],
        checkall: 'true',
        repair: false,
        outputs: 1,
      }),
      node('catch', catchAll, [['sink']], 'c'),
    ],
    messages: 5,
    arrivals: 5,
  },
  {
    name: 'switch: a rule that cannot be evaluated for some',
    nodes: [
      node('switch', {
        property: 'payload',
        propertyType: 'msg',
        rules: [{ t: 'jsonata_exp', v: 'payload % 2 = 0 ? true : $number("no")', vt: 'jsonata' }],
        checkall: 'true',
        repair: false,
        outputs: 1,
      }),
    ],
    messages: 6,
    arrivals: 3,
    settledBefore: 3,
    ends: { stored: 3, deadLettered: 3 },
  },
  {
    name: 'switch: of the parts of a message, put together again',
    nodes: [
      fn('msg.payload = [1, 2, 3, 4]; return msg;', [['p']]),
      node('split', split, [['n']], 'p'),
      node(
        'switch',
        {
          property: 'payload',
          propertyType: 'msg',
          rules: [{ t: 'gt', v: '2', vt: 'num' }, { t: 'else' }],
          checkall: 'true',
          repair: true,
          outputs: 2,
        },
        [['sink'], ['sink2']],
      ),
    ],
    messages: 2,
    arrivals: 8,
  },
  {
    name: 'delay: rate, with a reset',
    nodes: [
      fn('if (msg.payload === 2) return { reset: true }; return msg;', [['n']]),
      node('delay', delay({ pauseType: 'rate', rate: '1', nbRateUnits: '10' })),
    ],
    messages: 3,
    arrivals: 1,
    settledBefore: 2,
    settings: { source: { timeLimit: 1 } },
    ends: { stored: 1, deadLettered: 1, filtered: 1 },
    logs: /expected delay "delay" \(.*\) to complete within 1 s, got nothing/,
    limit: 'what waits in it at a reset is never completed: it becomes a dead letter at the time limit',
  },
  {
    name: 'delay: with a flush',
    nodes: [
      fn('return msg.payload === 2 ? [[{ flush: true }]] : msg;', [['n']]),
      node('delay', delay({ timeout: '60000' })),
    ],
    messages: 3,
    arrivals: 2,
    ends: { stored: 3 },
  },
  {
    name: 'trigger: with a second output',
    nodes: [node('trigger', trigger({ outputs: 2 }), [['sink'], ['sink2']])],
    arrivals: 2,
  },
  {
    name: 'trigger: nothing, then the message',
    nodes: [node('trigger', trigger({ op1type: 'nul', op2type: 'pay', duration: '500' }))],
    arrivals: 1,
    settledBefore: 1,
    ends: { filtered: 1 },
    late: { trigger: 1 },
    limit: 'it completes the message when the time begins: use a delay node',
  },
  {
    name: 'http request',
    nodes: [
      fn('msg.url = env.get("PEER_URL") + "/200"; delete msg.payload; return msg;', [['n']]),
      node('http request', { method: 'GET', ret: 'txt', url: '', paytoqs: 'ignore', senderr: false }),
    ],
    messages: 3,
    arrivals: 3,
  },
  {
    name: 'http request: an answer that is an error, passed on',
    nodes: [
      fn('msg.url = env.get("PEER_URL") + "/500"; delete msg.payload; return msg;', [['n']]),
      node('http request', { method: 'GET', ret: 'txt', url: '', paytoqs: 'ignore', senderr: false }),
    ],
    arrivals: 1,
  },
  {
    name: 'http request: a connection that is cut, with "only send non-2xx responses to Catch node"',
    nodes: [
      fn('msg.url = env.get("PEER_URL") + "/cut"; delete msg.payload; return msg;', [['n']]),
      node('http request', { method: 'GET', ret: 'txt', url: '', paytoqs: 'ignore', senderr: true }),
    ],
    ...DEAD,
  },
  {
    name: 'exec: a command that fails',
    nodes: [
      node('exec', { command: 'false', addpay: '', append: '', useSpawn: 'false', timer: '', oldrc: false }, [
        [],
        [],
        ['sink'],
      ]),
    ],
    arrivals: 1,
  },
  {
    name: 'exec: spawn',
    nodes: [
      node('exec', { command: 'echo', addpay: 'payload', append: '', useSpawn: 'true', timer: '', oldrc: false }, [
        ['sink'],
        [],
        ['sink2'],
      ]),
    ],
    arrivals: 2,
  },
  {
    name: 'file: a folder that is not there',
    nodes: [
      node('file', {
        filename: '/nowhere/at/all',
        filenameType: 'str',
        appendNewline: true,
        createDir: false,
        overwriteFile: 'false',
        encoding: 'none',
      }),
    ],
    arrivals: 1,
    limit: 'it reports the error once; then it passes messages on as if it had written them',
  },
  {
    name: 'file in: a message a line',
    nodes: [
      node('file in', {
        filename: '/proc/self/limits',
        filenameType: 'str',
        format: 'lines',
        chunk: false,
        sendError: false,
        encoding: 'none',
        allProps: false,
      }),
    ],
    arrivals: 18,
  },
  {
    name: 'mqtt out: without a broker',
    nodes: [node('mqtt out', { topic: 'a', qos: '', retain: '', broker: '' }, [])],
    ...DEAD,
  },
  {
    name: 'mqtt out: while it is not connected',
    nodes: [
      node('mqtt out', { topic: 'a', qos: '1', retain: '', broker: 'b' }, []),
      { id: 'b', type: 'mqtt-broker', broker: '127.0.0.1', port: '1', autoConnect: false, protocolVersion: '4' },
    ],
    settings: { source: { timeLimit: 1 } },
    ...DEAD,
    limit: 'it never completes such a message: it becomes a dead letter at the time limit. Use mqtt-publish',
  },
  {
    name: 'tcp out: nobody listens',
    nodes: [node('tcp out', { host: '127.0.0.1', port: '1', beserver: 'client', base64: false, end: false }, [])],
    ...ENDS,
    limit: 'it completes a message also while it is not connected',
  },
  {
    name: 'udp out: a message without payload',
    nodes: [
      fn('return { topic: "a" };', [['n']]),
      node(
        'udp out',
        { addr: '127.0.0.1', iface: '', port: '9', ipv: 'udp4', outport: '', base64: false, multicast: 'false' },
        [],
      ),
    ],
    settings: { source: { timeLimit: 1 } },
    ...DEAD,
    limit: 'it never completes such a message: it becomes a dead letter at the time limit',
  },
  {
    name: 'tcp request: refused',
    nodes: [
      node('tcp request', {
        server: '127.0.0.1',
        port: '1',
        out: 'time',
        ret: 'buffer',
        splitc: '0',
        newline: '',
        trim: false,
      }),
    ],
    settings: { source: { timeLimit: 1 } },
    ...DEAD,
    limit: 'it never completes a message that was not sent: it becomes a dead letter at the time limit',
  },
];
