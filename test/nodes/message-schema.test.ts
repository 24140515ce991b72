import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectFolder } from '../../nodes/adapter/red.js';
import messageSchema from '../../nodes/message-schema/message-schema.js';
import schemaFilter from '../../nodes/schema-filter/schema-filter.js';
import { useNodeRed, type FlowNode } from '../node-red.js';
import { temporaryFolder } from '../sluice.js';

describe('message-schema', () => {
  const nodeRed = useNodeRed();
  const entries = [messageSchema, schemaFilter];
  const flow = (settings: object): FlowNode[] => [
    { id: 'tab', type: 'tab' },
    { id: 'schema', type: 'message-schema', configVersion: 1, name: 'reading', version: '3', ...settings },
    {
      id: 'filter',
      type: 'schema-filter',
      z: 'tab',
      x: 1,
      y: 1,
      configVersion: 1,
      schema: 'schema',
      property: 'payload',
      wires: [['valid'], ['rejected']],
    },
    { id: 'valid', type: 'helper', z: 'tab', x: 1, y: 1 },
    { id: 'rejected', type: 'helper', z: 'tab', x: 1, y: 1 },
  ];

  const drafts: [name: string, schema: object, valid: unknown, rejected: unknown, code: string][] = [
    [
      'draft-07 without $schema: additionalItems',
      { items: [{ type: 'number' }], additionalItems: false },
      [1],
      [1, 2],
      'schema-additionalItems',
    ],
    [
      'draft-07: dependencies',
      { $schema: 'http://json-schema.org/draft-07/schema#', dependencies: { a: ['b'] } },
      { a: 1, b: 1 },
      { a: 1 },
      'schema-dependencies',
    ],
    [
      '2019-09: dependentSchemas',
      {
        $schema: 'https://json-schema.org/draft/2019-09/schema',
        dependentSchemas: { a: { properties: { b: { type: 'number' } } } },
      },
      { b: 'x' },
      { a: 1, b: 'x' },
      'schema-type',
    ],
    [
      '2019-09: $recursiveRef',
      {
        $schema: 'https://json-schema.org/draft/2019-09/schema',
        $recursiveAnchor: true,
        type: 'object',
        additionalProperties: { $recursiveRef: '#' },
      },
      { a: { b: {} } },
      { a: { b: 1 } },
      'schema-type',
    ],
    [
      '2020-12: prefixItems',
      { $schema: 'https://json-schema.org/draft/2020-12/schema', prefixItems: [{ type: 'number' }], items: false },
      [1],
      [1, 2],
      'schema-items',
    ],
    [
      '2020-12: unevaluatedProperties',
      {
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        allOf: [{ properties: { a: {} } }],
        unevaluatedProperties: false,
      },
      { a: 1 },
      { a: 1, b: 1 },
      'schema-unevaluatedProperties',
    ],
    [
      '2020-12: $dynamicRef',
      {
        $schema: 'https://json-schema.org/draft/2020-12/schema',
        $dynamicAnchor: 'node',
        type: 'object',
        properties: { children: { type: 'array', items: { $dynamicRef: '#node' } } },
      },
      { children: [{ children: [] }] },
      { children: [{ children: [1] }] },
      'schema-type',
    ],
  ];
  for (const [name, schema, good, bad, code] of drafts) {
    it(`knows ${name}`, async () => {
      await nodeRed.load(entries, flow({ schema: JSON.stringify(schema) }));
      const got = Promise.all([nodeRed.messages('valid'), nodeRed.messages('rejected')]);
      nodeRed.send('filter', { payload: good });
      nodeRed.send('filter', { payload: bad });
      const [[valid], [rejected]] = await got;
      assert.deepEqual(valid?.payload, good);
      assert.equal(rejected?.rejection?.code, code);
    });
  }

  it('does not take what every object has for a property of the payload', async () => {
    const schema = { required: ['constructor'], properties: { toString: { type: 'string' } } };
    await nodeRed.load(entries, flow({ schema: JSON.stringify(schema) }));
    const got = Promise.all([nodeRed.messages('valid'), nodeRed.messages('rejected')]);
    nodeRed.send('filter', { payload: JSON.parse('{"constructor":1}') as unknown });
    nodeRed.send('filter', { payload: {} });
    const [, [rejected]] = await got;
    assert.match(rejected?.rejection?.message ?? '', /expected "constructor", got nothing/);
  });

  const deep = (levels: number): object =>
    Array.from({ length: levels }).reduce<object>((inner) => ({ not: inner }), {});
  const refused: [what: string, schema: unknown, sentence: RegExp][] = [
    [
      'a reference over the network',
      { items: { $ref: 'http://127.0.0.1:9/schema.json' } },
      /\/schema\/items\/\$ref: expected a reference to a schema in this document, got "http:\/\/127\.0\.0\.1:9\/schema\.json"/,
    ],
    [
      'look-around',
      { properties: { a: { pattern: '^(?=a)b' } } },
      /\/schema\/properties\/a\/pattern: expected a pattern that can be matched in linear time \(no look-around, no back-reference.*got "\^\(\?=a\)b"/,
    ],
    [
      'a back-reference',
      { patternProperties: { '(a)\\1': {} } },
      /\/schema\/patternProperties\/\(a\)\\1: expected a pattern that can be matched in linear time/,
    ],
    ['too many levels', deep(65), /\/schema: expected at most 64 levels, got more/],
    [
      'too many subschemas',
      { anyOf: Array.from({ length: 5_000 }, () => ({ type: 'number' })) },
      /\/schema: expected at most 5000 subschemas, got more/,
    ],
    ['too many bytes', { title: 'x'.repeat(1_048_576) }, /\/schema: expected at most 1048576 bytes, got 10485/],
    [
      '$async within',
      { properties: { a: { $async: true } } },
      /\/schema\/properties\/a: expected a schema that answers at once/,
    ],
    ['an unknown format', { format: 'colour' }, /unknown format "colour"/],
  ];
  for (const [what, schema, sentence] of refused) {
    it(`refuses ${what}`, async () => {
      await nodeRed.load(entries, flow({ schema: JSON.stringify(schema) }));
      assert.match(nodeRed.logged().join('\n'), sentence);
    });
  }

  it('takes what only looks like a keyword for what it is: a name, or data', async () => {
    const schema = {
      properties: { $ref: { type: 'string' }, pattern: { const: { pattern: '(?=a)' } } },
      examples: [{ $ref: '#/nowhere' }],
    };
    await nodeRed.load(entries, flow({ schema: JSON.stringify(schema) }));
    const got = nodeRed.messages('valid');
    nodeRed.send('filter', { payload: { $ref: 'x', pattern: { pattern: '(?=a)' } } });
    await got;
  });

  describe('from a file', () => {
    const folder = temporaryFolder();
    const outside = temporaryFolder();
    const write = (name: string, text: string, root = folder.path): void => writeFileSync(join(root, name), text);
    before(() => {
      mkdirSync(join(folder.path, 'schemas'));
      write('schemas/reading.json', '{"type": "number"}');
      write('broken.json', '{"secret": "hunter2", }');
      write('binary.json', Buffer.from([0xff, 0xfe, 0x00]).toString('latin1'));
      write('large.json', JSON.stringify('x'.repeat(1_048_576)));
      write('other.json', '{}', outside.path);
      symlinkSync(join(outside.path, 'other.json'), join(folder.path, 'link.json'));
      symlinkSync('schemas/reading.json', join(folder.path, 'inner-link.json'));
      execFileSync('mkfifo', [join(folder.path, 'pipe.json')]);
      nodeRed.settings({ userDir: folder.path });
    });
    after(() => {
      nodeRed.settings({});
      folder.remove();
      outside.remove();
    });
    const file = (name: string): FlowNode[] => flow({ source: 'file', file: name });

    for (const name of ['schemas/reading.json', 'inner-link.json']) {
      it(`reads ${name} at deploy`, async () => {
        await nodeRed.load(entries, file(name));
        const got = Promise.all([nodeRed.messages('valid'), nodeRed.messages('rejected')]);
        nodeRed.send('filter', { payload: 1 });
        nodeRed.send('filter', { payload: 'x' });
        await got;
      });
    }

    const wrong: [name: string, sentence: RegExp][] = [
      ['', /\/file: expected the path of a JSON file, got nothing/],
      ['none.json', /\/file: expected a file in .* that can be read, got "none\.json": ENOENT/],
      ['../other.json', /\/file: expected a file in .*, got "\.\.\/other\.json", which leads out/],
      ['/etc/passwd', /\/file: expected a file in .*, got "\/etc\/passwd", which leads out/],
      ['link.json', /\/file: expected a file in .*, got "link\.json", a link that leads out/],
      ['schemas', /\/file: expected a file in .*, got "schemas", which is no file/],
      ['pipe.json', /\/file: expected a file in .*, got "pipe\.json", which is no file/],
      ['large.json', /\/file: expected a file of at most 1048576 bytes, got "large\.json" of 1048578/],
      ['broken.json', /\/file: expected JSON in UTF-8 in the file "broken\.json", got other text at position 22/],
      ['binary.json', /\/file: expected JSON in UTF-8 in the file "binary\.json", got other text/],
    ];
    for (const [name, sentence] of wrong) {
      it(`refuses ${name === '' ? 'no path' : name}, and shows nothing of it`, async () => {
        await nodeRed.load(entries, file(name));
        const logged = nodeRed.logged().join('\n');
        assert.match(logged, sentence);
        assert.doesNotMatch(logged, /hunter2|secret/);
      });
    }
  });

  it('looks for files in the active project, where projects are on', () => {
    const settings = (editorTheme: object, activeProject?: string) => ({
      settings: { userDir: '/user', editorTheme, get: () => ({ activeProject }) },
    });
    assert.equal(projectFolder(settings({})), '/user');
    assert.equal(projectFolder(settings({ projects: { enabled: true } })), '/user');
    assert.equal(projectFolder(settings({ projects: { enabled: true } }, 'farm')), '/user/projects/farm');
    assert.equal(projectFolder(settings({ projects: { enabled: true, path: '/p' } }, 'farm')), '/p/farm');
    assert.equal(projectFolder({ settings: {} }), undefined);
  });
});
