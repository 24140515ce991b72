import assert from 'node:assert/strict';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as formats from 'ajv-formats';
import fc from 'fast-check';
import type { Message } from '../../nodes/lib/message.js';
import { randomNumbers } from '../../nodes/device-simulator/random.js';
import { SchemaPayloads } from '../../nodes/device-simulator/schema-payloads.js';
import messageSchema from '../../nodes/message-schema/message-schema.js';
import { MessageSchema } from '../../nodes/message-schema/schema.js';
import { simulatorNode, useMqttFlows } from '../mqtt.js';

type Schema = Record<string, unknown>;

const DIALECT = 'https://json-schema.org/draft/2020-12/schema';
const STAMP = { uuid: 'u', seq: 1, ts: '2026-01-01T00:00:00.000Z', id: 'i' };
const NOTHING_ASKED = { seq: false, ts: false, messageId: false };

const schemaOf = (schema: unknown): MessageSchema =>
  new MessageSchema({
    config: { configVersion: 1, name: 's', version: '1', source: 'inline', schema: JSON.stringify(schema) },
    projectFolder: undefined,
  });

/** Not the validator of the node: ajv as it is. */
function validator(schema: Schema): (value: unknown) => string {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  formats.default.default(ajv);
  const validate = ajv.compile(schema);
  return (value) => (validate(value) ? '' : ajv.errorsText(validate.errors));
}

const limits = fc.tuple(fc.integer({ min: -1_000, max: 1_000 }), fc.integer({ min: 1, max: 500 }));
const lengths = fc.tuple(fc.nat(8), fc.nat(8));
const leaf: fc.Arbitrary<Schema> = fc.oneof(
  fc.constant({ type: 'boolean' }),
  fc.constant({ type: 'null' }),
  fc.constant({ type: ['string', 'null'] }),
  fc.array(fc.jsonValue({ maxDepth: 1 }), { minLength: 1, maxLength: 4 }).map((values) => ({ enum: values })),
  fc.jsonValue({ maxDepth: 1 }).map((value) => ({ const: value })),
  limits.map(([minimum, width]) => ({ type: 'integer', minimum, maximum: minimum + width })),
  limits.map(([low, width]) => ({ type: 'number', exclusiveMinimum: low, exclusiveMaximum: low + width })),
  fc.constantFrom(0.1, 0.25, 2, 7).map((multipleOf) => ({ type: 'number', minimum: -50, maximum: 50, multipleOf })),
  lengths.map(([minLength, more]) => ({ type: 'string', minLength, maxLength: minLength + more })),
  fc
    .constantFrom('^[a-z]{2,5}-\\d+$', '^(on|off|auto)$', '^[A-F0-9]{4}(:[A-F0-9]{4}){2}$', '^x?y*z+$', '\\d{3}')
    .map((pattern) => ({ type: 'string', pattern })),
  fc
    .constantFrom('uuid', 'date-time', 'date', 'time', 'email', 'ipv4', 'ipv6', 'hostname', 'uri', 'json-pointer')
    .map((format) => ({ type: 'string', format })),
);
const { schema: anySchema } = fc.letrec<{ schema: Schema }>((tie) => ({
  schema: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd'), tie('schema'), { maxKeys: 4 }).chain((properties) =>
      fc.record({
        type: fc.constant('object'),
        properties: fc.constant(properties),
        required: fc.subarray(Object.keys(properties)),
        additionalProperties: fc.boolean(),
      }),
    ),
    fc.tuple(tie('schema'), fc.nat(3), fc.nat(3)).map(([items, minItems, more]) => ({
      type: 'array',
      items,
      minItems,
      maxItems: minItems + more,
    })),
    fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map((members) => ({ anyOf: members })),
    fc.tuple(tie('schema'), fc.constantFrom('oneOf', 'anyOf')).map(([member, union]) => ({
      [union]: [
        { type: 'object', required: ['kind', 'of'], properties: { kind: { const: 'x' }, of: member } },
        { type: 'null' },
      ],
    })),
  ),
}));

describe('device-simulator with a schema', function () {
  this.timeout(30_000);

  it('every payload matches, by ajv, for any schema of the subset', () => {
    fc.assert(
      fc.property(anySchema, fc.string(), (schema, seed) => {
        const payloads = new SchemaPayloads(
          schemaOf({ $schema: DIALECT, ...schema }),
          NOTHING_ASKED,
          randomNumbers(seed),
        );
        const problem = validator(schema);
        const random = randomNumbers(seed);
        for (let count = 0; count < 20; count++) {
          const payload: unknown = payloads.make(random, STAMP);
          assert.equal(problem(payload), '', JSON.stringify(payload));
        }
      }),
      // With a value that has a valueOf of its own, at which ajv's comparison throws.
      { numRuns: 150, examples: [[{ enum: [{ valueOf: null }, {}] }, '']] },
    );
  });

  describe('in a flow', () => {
    const flows = useMqttFlows();
    const READING = {
      $schema: DIALECT,
      type: 'object',
      required: ['uuid', 'temperature', 'at', 'site'],
      additionalProperties: false,
      properties: {
        uuid: { type: 'string', format: 'uuid' },
        temperature: { type: 'number', minimum: -40, maximum: 85, multipleOf: 0.5 },
        at: { type: 'string', format: 'date-time' },
        site: { $ref: '#/$defs/site' },
        battery: { type: 'integer', minimum: 0, maximum: 100 },
        seq: { type: 'integer', minimum: 1 },
        tags: { type: 'array', items: { enum: ['a', 'b', 'c'] }, minItems: 1, maxItems: 3, uniqueItems: true },
      },
      $defs: { site: { type: 'string', pattern: '^[A-Z]{2}-[0-9]{3}$' } },
    };
    const node = (schema: unknown) => ({
      id: 'schema',
      type: 'message-schema',
      configVersion: 1,
      name: 'reading',
      version: '1',
      schema: JSON.stringify(schema),
    });

    async function load(schema: unknown, settings: Record<string, unknown>): Promise<void> {
      await flows.unload();
      const fixed = { broker: '', autoStart: false, devices: 2, seed: 'a', run: 'r', schema: 'schema' };
      await flows.load([node(schema), simulatorNode({ ...fixed, ...settings })], {}, [messageSchema]);
    }
    async function burst(schema: unknown, count: number, settings: Record<string, unknown> = {}): Promise<Message[]> {
      await load(schema, settings);
      flows.send('simulator', { payload: { burst: count } });
      return flows.arrived('simulated', count);
    }

    it('payloads match it, each device has its own uuid, and a seed gives the same but for the times', async () => {
      const all = await burst(READING, 200);
      const problem = validator(READING);
      const withoutTime = (messages: Message[]): unknown[] =>
        messages.map(({ payload }) => ({ ...(payload as object), at: undefined }));
      for (const { payload, identity = '' } of all) {
        assert.equal(problem(payload), '');
        assert.equal((payload as { uuid: string }).uuid, identity.split(':')[0]);
        assert.ok(Math.abs(Date.parse((payload as { at: string }).at) - Date.now()) < 60_000, "the device's time");
      }
      const temperatures = new Set(all.map(({ payload }) => (payload as { temperature: number }).temperature));
      assert.ok(temperatures.size > 50, 'they differ');
      assert.deepEqual(withoutTime(await burst(READING, 200)), withoutTime(all));
      assert.notDeepEqual(withoutTime(await burst(READING, 200, { seed: 'b' })), withoutTime(all));
    });

    it('seq is laid over it where it is asked for', async () => {
      const all = await burst(READING, 6, { seq: true });
      assert.deepEqual(
        all.map(({ payload }) => (payload as { seq: number }).seq),
        [1, 1, 2, 2, 3, 3],
      );
    });

    it('missing-field and out-of-range break the schema, each in its way', async () => {
      const faults = [
        { fault: 'missing-field', share: 0.5 },
        { fault: 'out-of-range', share: 0.5 },
      ];
      const all = await burst(READING, 200, { faults, seq: true });
      const ajv = new Ajv2020({ strict: false, allErrors: true });
      formats.default.default(ajv);
      const validate = ajv.compile(READING);
      const seen = new Set<string>();
      for (const { payload, fault } of all) {
        assert.equal(validate(payload), false);
        for (const { keyword } of validate.errors ?? []) {
          seen.add(keyword);
          assert.equal(keyword === 'required', fault === 'missing-field', `${keyword} for ${String(fault)}`);
        }
      }
      assert.deepEqual([...seen].sort(), ['maximum', 'minimum', 'required']);
    });

    for (const [schema, settings, sentence] of [
      [READING, { ts: true }, /\/ts: expected a schema that takes ts, got one that does not: .*"ts"/],
      [READING, { messageId: true }, /\/messageId: expected a schema that takes id, got one that does not/],
      [{ type: 'string' }, { seq: true }, /\/seq: expected a schema that takes seq, .*expected an object, got "/],
      [
        { type: 'object', required: ['n'], properties: { n: { type: 'integer', minimum: 5, maximum: 4 } } },
        {},
        /\/schema: expected a schema that payloads can be made for, got one that none of 100 matched: \/n \((minimum|maximum)\)/,
      ],
      [{ not: {} }, {}, /\/schema: expected a schema that payloads can be made for/],
      [false, {}, /\/schema: expected a schema that payloads can be made for/],
      [
        { type: 'array', items: { type: 'array', minItems: 1_000 }, minItems: 1_000 },
        {},
        /\/schema: expected payloads of at most 10000 items .*, got a schema that asks for more at \/items\/minItems/,
      ],
      [
        { type: 'object', required: ['name'], properties: { name: { type: 'string' } } },
        { faults: [{ fault: 'out-of-range', share: 0.1 }] },
        /\/faults: expected a schema with a number that has limits for the fault out-of-range, got one without/,
      ],
      [
        { type: 'object', properties: { name: { type: 'string' } } },
        { faults: [{ fault: 'missing-field', share: 0.1 }] },
        /\/faults: expected a schema with a field that is required for the fault missing-field, got one without/,
      ],
    ] as const) {
      it(`refuses ${JSON.stringify(schema).slice(0, 80)} with ${JSON.stringify(settings)} at deploy`, async () => {
        await load(schema, settings);
        const errors = flows.logged().filter((text) => text.startsWith('device-simulator "device-simulator" /'));
        assert.equal(errors.length, 1, flows.logged().join('\n'));
        assert.match(errors[0] ?? '', sentence);
      });
    }

    it('refuses a schema that is none of the flow', async () => {
      await flows.load([simulatorNode({ broker: '', schema: 'none' })]);
      const errors = flows.logged().filter((text) => text.startsWith('device-simulator "device-simulator" /'));
      assert.match(errors[0] ?? '', /\/schema: expected a node of type message-schema, got none with this id/);
    });
  });
});
