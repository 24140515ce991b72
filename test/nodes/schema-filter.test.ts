import assert from 'node:assert/strict';
import type { Rejection } from '../../nodes/lib/message.js';
import messageSchema from '../../nodes/message-schema/message-schema.js';
import schemaFilter from '../../nodes/schema-filter/schema-filter.js';
import { useNodeRed, type FlowNode } from '../node-red.js';

const reading = {
  type: 'object',
  required: ['uuid', 'value'],
  properties: { uuid: { type: 'string', format: 'uuid' }, value: { type: 'number', minimum: 0, maximum: 100 } },
};
const UUID = '0b8a3c0e-7f55-4c1d-9a44-3c1c52a6a111';

describe('schema-filter', () => {
  const nodeRed = useNodeRed();
  const flow = (schema: unknown, wires = [['valid'], ['rejected']], property = 'payload'): FlowNode[] => [
    { id: 'tab', type: 'tab' },
    {
      id: 'schema',
      type: 'message-schema',
      configVersion: 1,
      name: 'reading',
      version: '3',
      schema: typeof schema === 'string' ? schema : JSON.stringify(schema),
    },
    { id: 'filter', type: 'schema-filter', z: 'tab', x: 1, y: 1, configVersion: 1, schema: 'schema', property, wires },
    { id: 'valid', type: 'helper', z: 'tab', x: 1, y: 1 },
    { id: 'rejected', type: 'helper', z: 'tab', x: 1, y: 1 },
    { id: 'catch', type: 'catch', z: 'tab', x: 1, y: 1, scope: null, uncaught: false, wires: [['caught']] },
    { id: 'caught', type: 'helper', z: 'tab', x: 1, y: 1 },
  ];
  const entries = [messageSchema, schemaFilter];

  it('lets through what matches, as it came', async () => {
    await nodeRed.load(entries, flow(reading));
    const got = nodeRed.messages('valid');
    nodeRed.send('filter', { payload: { uuid: UUID, value: 22 }, topic: 'device/a' });
    const [message] = await got;
    assert.deepEqual(message?.payload, { uuid: UUID, value: 22 });
    assert.equal(message.rejection, undefined);
  });

  it('rejects what does not, with every error: path, keyword, message, type', async () => {
    await nodeRed.load(entries, flow(reading));
    const got = nodeRed.messages('rejected');
    nodeRed.send('filter', { payload: { uuid: 'no', value: 'high', more: 1 } });
    const [message] = await got;
    assert.deepEqual(message?.payload, { uuid: 'no', value: 'high', more: 1 });
    const { code, node, ...details } = message.rejection as Rejection;
    assert.equal(code, 'schema-format');
    assert.deepEqual(details['schema'], { name: 'reading', version: '3' });
    assert.equal(node.id, 'filter');
    assert.deepEqual(details['errors'], [
      { path: '/uuid', keyword: 'format', message: 'expected a text of format uuid, got "no"', type: 'string' },
      { path: '/value', keyword: 'type', message: 'expected a value of type number, got "high"', type: 'string' },
    ]);
  });

  it('names what is missing, and a payload that is no object', async () => {
    await nodeRed.load(entries, flow(reading));
    const got = nodeRed.messages('rejected', 3);
    nodeRed.send('filter', { payload: { uuid: UUID } });
    nodeRed.send('filter', { payload: null });
    nodeRed.send('filter', {});
    const messages = await got;
    assert.deepEqual(
      messages.map(({ rejection }) =>
        (rejection?.['errors'] as { path: string; type: string }[]).map(({ path, type }) => `${path} ${type}`),
      ),
      [['/value missing'], [' null'], [' missing']],
    );
  });

  it('checks another property', async () => {
    await nodeRed.load(entries, flow({ type: 'string' }, undefined, 'payload.inner[0]'));
    const got = nodeRed.messages('valid');
    nodeRed.send('filter', { payload: { inner: ['a'] } });
    await got;
  });

  it('fails a rejected message that has nowhere to go: Catch nodes get it, once', async () => {
    await nodeRed.load(entries, flow(reading, [['valid'], []]));
    const got = nodeRed.messages('caught');
    nodeRed.send('filter', { payload: 1 });
    const [message] = await got;
    assert.match(
      (message?.['error'] as { message: string }).message,
      /reading 3: \/: expected a value of type object, got number 1/,
    );
  });

  it('shows its counts', async () => {
    await nodeRed.load(entries, flow(reading));
    const shown = nodeRed.status('filter', /1 valid, 1 rejected/);
    nodeRed.send('filter', { payload: { uuid: UUID, value: 1 } });
    nodeRed.send('filter', { payload: 1 });
    assert.equal((await shown).fill, 'green');
  });

  it('knows draft-07, 2019-09 and 2020-12 by $schema', async () => {
    for (const [$schema, keywords] of [
      ['http://json-schema.org/draft-07/schema#', { dependencies: { a: ['b'] } }],
      ['https://json-schema.org/draft/2019-09/schema', { dependentRequired: { a: ['b'] } }],
      [
        'https://json-schema.org/draft/2020-12/schema',
        { prefixItems: [{ type: 'object', required: ['b'] }], type: 'array' },
      ],
    ] as const) {
      await nodeRed.load(entries, flow({ $schema, ...keywords }));
      const got = nodeRed.messages('rejected');
      nodeRed.send('filter', { payload: 'type' in keywords ? [{ a: 1 }] : { a: 1 } });
      await got;
      await nodeRed.unload();
    }
  });

  const refused: [schema: unknown, sentence: RegExp][] = [
    ['{"type": ', /\/schema: expected JSON/],
    ['[]', /\/schema: expected a JSON Schema/],
    [{ type: 'object', properties: { value: { type: 'nunber' } } }, /\/schema\/properties\/value\/type: expected/],
    [
      { properties: { value: { minimum: 'low' } } },
      /\/schema\/properties\/value\/minimum: expected a value of type number, got "low"/,
    ],
    [{ $ref: '#/definitions/none' }, /\/schema: expected a schema that compiles/],
    [{ $schema: 'http://example.com/other' }, /\/schema\/\$schema: expected one of/],
    [{ pattern: '(' }, /\/schema/],
  ];
  for (const [schema, sentence] of refused) {
    it(`refuses at deploy ${JSON.stringify(schema).slice(0, 60)}`, async () => {
      await nodeRed.load(entries, flow(schema));
      const errors = nodeRed.logged();
      assert.ok(
        errors.some((text) => sentence.test(text)),
        errors.join('\n'),
      );
      assert.ok(
        errors.some((text) =>
          /schema-filter.*expected a node of type message-schema, got one whose own settings are wrong/.test(text),
        ),
      );
      const failed = nodeRed.messages('caught');
      nodeRed.send('filter', { payload: 1 });
      await failed;
    });
  }
});
