import { type Case, node, fn, DEAD } from './case.js';

/** Core nodes for formats. */
export const PARSERS: readonly Case[] = [
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
    name: 'csv: from objects',
    nodes: [
      fn('msg.payload = [{ a: 1 }, { a: 2 }]; return msg;', [['n']]),
      node('csv', { spec: 'rfc', sep: ',', hdrin: '', hdrout: 'all', multi: 'one', ret: '\\n', temp: '', skip: '0' }),
    ],
    arrivals: 1,
  },
  {
    name: 'csv: all rows in one message',
    nodes: [
      fn('msg.payload = "a,b\\n1,2\\n3,4"; return msg;', [['n']]),
      node('csv', {
        spec: 'rfc',
        sep: ',',
        hdrin: true,
        hdrout: 'none',
        multi: 'mult',
        ret: '\\n',
        temp: '',
        skip: '0',
      }),
    ],
    arrivals: 1,
  },
  {
    name: 'csv: the parts of a file',
    nodes: [
      fn('msg.payload = ["a,b", "1,2", "3,4"]; return msg;', [['p']]),
      node('split', { splt: '\\n', spltType: 'str', arraySplt: 1, arraySpltType: 'len' }, [['n']], 'p'),
      node('csv', {
        spec: 'rfc',
        sep: ',',
        hdrin: true,
        hdrout: 'none',
        multi: 'mult',
        ret: '\\n',
        temp: '',
        skip: '0',
      }),
    ],
    arrivals: 1,
  },
];
