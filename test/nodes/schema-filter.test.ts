import assert from 'node:assert/strict';
import type { Message, Rejection } from '../../nodes/lib/message.js';
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

  const refused: [schema: unknown, sentence: RegExp][] = [
    ['{"type": ', /\/schema: expected JSON/],
    ['[]', /\/schema: expected a JSON Schema/],
    [{ type: 'object', properties: { value: { type: 'nunber' } } }, /\/schema\/properties\/value\/type: expected/],
    [
      { properties: { value: { minimum: 'low' } } },
      /\/schema\/properties\/value\/minimum: expected a value of type number, got "low"/,
    ],
    [
      { properties: { a: { $ref: '#/definitions/none' } } },
      /\/schema\/properties\/a\/\$ref: expected a reference to a schema in this document, got "#\/definitions\/none"/,
    ],
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

  describe('by topic', () => {
    const schemaNode = (id: string, schema: object): FlowNode => ({
      id,
      type: 'message-schema',
      configVersion: 1,
      name: `a ${id}`,
      version: '1',
      schema: JSON.stringify(schema),
    });
    const byTopic = (settings: object): FlowNode[] => [
      ...flow({ type: 'string' }).filter(({ id }) => id !== 'filter'),
      schemaNode('number', { type: 'number' }),
      schemaNode('boolean', { type: 'boolean' }),
      {
        id: 'filter',
        type: 'schema-filter',
        z: 'tab',
        x: 1,
        y: 1,
        configVersion: 1,
        property: 'payload',
        schema: 'schema',
        schemas: [
          { topic: 'a/#', schema: 'schema2' },
          { topic: 'a/b', schema: 'schema1' },
          { topic: '+/flag', schema: 'boolean' },
        ],
        schema1: 'boolean',
        schema2: 'number',
        wires: [['valid'], ['rejected']],
        ...settings,
      },
    ];
    /** The output of each message, with the reason of a rejected one. */
    async function sent(settings: object, messages: Message[]): Promise<unknown[]> {
      await nodeRed.load(entries, byTopic(settings));
      const got: unknown[] = [];
      const all = Promise.withResolvers<void>();
      for (const id of ['valid', 'rejected']) {
        nodeRed.node(id).on('input', ({ rejection }: Message) => {
          got.push(rejection === undefined ? id : `${rejection.code} ${JSON.stringify(rejection['schema'])}`);
          if (got.length === messages.length) all.resolve();
        });
      }
      for (const message of messages) nodeRed.send('filter', message);
      await all.promise;
      return got;
    }

    it('checks by the first row that matches, and others by the schema for all', async () => {
      assert.deepEqual(
        await sent({}, [
          { topic: 'a/b', payload: 1 },
          { topic: 'a/b', payload: true },
          { topic: 'c/flag', payload: true },
          { topic: 'other', payload: 'text' },
          { topic: 'other', payload: 1 },
          { payload: 1 },
        ]),
        [
          'valid',
          'schema-type {"name":"a number","version":"1"}',
          'valid',
          'valid',
          'schema-type {"name":"reading","version":"3"}',
          'schema-type {"name":"reading","version":"3"}',
        ],
      );
    });

    it('rejects a topic that no row is for', async () => {
      await nodeRed.load(entries, byTopic({ unmatched: 'reject', schema: '' }));
      const got = nodeRed.messages('rejected');
      nodeRed.send('filter', { topic: 'other', payload: 1 });
      const { rejection } = (await got)[0] ?? {};
      assert.equal(rejection?.code, 'unknown-topic');
      assert.equal(rejection.message, 'topic: expected one that a row of this filter is for, got "other"');
    });

    it('lets it pass unchecked, counted', async () => {
      await nodeRed.load(entries, byTopic({ unmatched: 'pass', schema: '' }));
      const [got, shown] = [nodeRed.messages('valid'), nodeRed.status('filter', /0 valid, 0 rejected, 1 unchecked/)];
      nodeRed.send('filter', { topic: 'other', payload: 1 });
      await Promise.all([got, shown]);
    });

    it('refuses a row without a schema, and none for the others', async () => {
      await nodeRed.load(entries, byTopic({ schema1: '' }));
      assert.match(
        nodeRed.logged().join('\n'),
        /\/schemas\/1\/schema: expected a node of type message-schema, got none/,
      );
      await nodeRed.unload();
      await nodeRed.load(entries, byTopic({ schema: '' }));
      assert.match(nodeRed.logged().join('\n'), /\/schema: expected a node of type message-schema, got nothing/);
    });
  });

  describe('with changes', () => {
    const schema = {
      type: 'object',
      properties: {
        value: { type: 'number' },
        unit: { type: 'string', default: 'C' },
        inner: { type: 'object', properties: { on: { type: 'boolean' } } },
      },
      required: ['value', 'unit'],
    };
    const changing = (settings: object, property = 'payload'): FlowNode[] =>
      flow(schema, undefined, property).map((node) => (node.id === 'filter' ? { ...node, ...settings } : node));

    it('coerces, fills in defaults, strips; the message that came stays as it is', async () => {
      await nodeRed.load(entries, changing({ coerce: true, defaults: true, strip: true }));
      const got = nodeRed.messages('valid');
      const came = { topic: 'a', payload: { value: '22.5', inner: { on: 'true', more: 1 }, other: [1] } };
      const before = structuredClone(came);
      nodeRed.send('filter', came);
      const [message] = await got;
      assert.deepEqual(message?.payload, { value: 22.5, unit: 'C', inner: { on: true } });
      assert.equal(message.topic, 'a');
      assert.deepEqual(came.payload, before.payload);
    });

    it('rejects the message as it came', async () => {
      await nodeRed.load(entries, changing({ coerce: true, defaults: true, strip: true }));
      const got = nodeRed.messages('rejected');
      nodeRed.send('filter', { payload: { inner: { on: 'true', more: 1 }, other: 1, value: 'high' } });
      const [message] = await got;
      assert.deepEqual(message?.payload, { inner: { on: 'true', more: 1 }, other: 1, value: 'high' });
      assert.equal(message.rejection?.code, 'schema-type');
    });

    it('changes a part of the message, and a value by itself', async () => {
      await nodeRed.load(entries, changing({ coerce: true, defaults: true }, 'payload.list[1]'));
      const got = nodeRed.messages('valid');
      nodeRed.send('filter', { payload: { list: [0, { value: '1' }], kept: true } });
      assert.deepEqual((await got)[0]?.payload, { list: [0, { value: 1, unit: 'C' }], kept: true });
      await nodeRed.unload();
      const number = flow({ type: 'number' }).map((node) => (node.id === 'filter' ? { ...node, coerce: true } : node));
      await nodeRed.load(entries, number);
      const alone = nodeRed.messages('valid');
      nodeRed.send('filter', { payload: '5' });
      assert.equal((await alone)[0]?.payload, 5);
    });

    it('leaves a property named __proto__ what it is', async () => {
      await nodeRed.load(entries, changing({ coerce: true }));
      const got = nodeRed.messages('valid');
      nodeRed.send('filter', {
        payload: JSON.parse('{"value":"1","unit":"C","__proto__":{"polluted":true}}') as unknown,
      });
      const payload = (await got)[0]?.payload as Record<string, unknown>;
      assert.equal(payload['value'], 1);
      assert.equal((payload as { polluted?: boolean }).polluted, undefined);
      assert.equal(Object.getPrototypeOf(payload), Object.prototype);
    });
  });

  describe('a hostile payload', () => {
    async function rejected(schema: unknown, payload: unknown): Promise<Rejection> {
      await nodeRed.load(entries, flow(schema));
      const got = nodeRed.messages('rejected');
      nodeRed.send('filter', { payload });
      const rejection = (await got)[0]?.rejection;
      assert.ok(rejection);
      return rejection;
    }
    const nested = (levels: number): unknown => {
      let value: unknown = 1;
      for (let level = 0; level < levels; level++) value = { inner: value };
      return value;
    };

    it('that is deeper than the stack is rejected as too deep, with the schema', async () => {
      const recursive = { properties: { inner: { $ref: '#' } } };
      for (const levels of [5_000, 100_000]) {
        const { code, message, ...details } = await rejected(recursive, nested(levels));
        assert.match(code, /too-deep|too-complex/);
        assert.match(message, /^reading 3: expected a value/);
        assert.deepEqual(details['schema'], { name: 'reading', version: '3' });
        await nodeRed.unload();
      }
    });

    it('that makes a schema branch without end is rejected as too complex', async () => {
      const branching = {
        properties: { inner: { anyOf: [{ $ref: '#' }, { allOf: [{ $ref: '#' }] }] } },
        not: { type: 'integer' },
      };
      assert.equal((await rejected(branching, nested(60))).code, 'too-complex');
    });

    it('that has a valueOf or toString where objects are compared is rejected as not comparable', async () => {
      for (const payload of [{ valueOf: null }, { toString: 1 }]) {
        const { code, message } = await rejected({ enum: [{ a: 1 }, { b: 2 }] }, payload);
        assert.equal(code, 'not-comparable');
        assert.match(
          message,
          /expected a value that can be compared, got an object with a property valueOf or toString/,
        );
        await nodeRed.unload();
      }
    });

    it('with a million errors is rejected with one, and a short one with all', async () => {
      const { code, ...details } = await rejected(
        { items: { type: 'string' } },
        Array.from({ length: 1_000_000 }, (_, index) => index),
      );
      assert.equal(code, 'schema-type');
      assert.equal((details['errors'] as unknown[]).length, 1);
      await nodeRed.unload();
      const few = await rejected({ items: { type: 'string' } }, [1, 2, 3]);
      assert.equal((few['errors'] as unknown[]).length, 3);
    });

    it('with a pattern, a format and unique items that would take for ever is answered', async () => {
      const long = 'a'.repeat(100_000);
      assert.equal((await rejected({ pattern: '^(a+)+$' }, `${long}!`)).code, 'schema-pattern');
      await nodeRed.unload();
      assert.equal(
        (await rejected({ patternProperties: { '(a|aa)+$': false } }, { [`${long}a`]: 1 })).code.startsWith('schema-'),
        true,
      );
      await nodeRed.unload();
      assert.equal((await rejected({ format: 'url' }, `http://${'a:'.repeat(500_000)}`)).code, 'schema-format');
      await nodeRed.unload();
      const objects = Array.from({ length: 100_000 }, (_, index) => ({ index, b: 1 }));
      const twice = [...objects, { b: 1, index: 99_999 }];
      assert.equal((await rejected({ uniqueItems: true }, twice)).code, 'schema-uniqueItems');
    });
  });
});
