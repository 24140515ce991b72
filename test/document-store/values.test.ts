/** The order of values, the keys that stand for equal ones, and arithmetic: against the rules, not against a server. */
import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import {
  Binary,
  BSONRegExp,
  Code,
  Decimal128,
  Double,
  Int32,
  MaxKey,
  MinKey,
  ObjectId,
  Timestamp,
  serialize,
} from 'bson';
import fc from 'fast-check';
import { compare, keyOf } from '../../runtime/embedded/document-store/bson/compare.js';
import { decode, validate, withLeadingId } from '../../runtime/embedded/document-store/bson/decode.js';
import { encode } from '../../runtime/embedded/document-store/bson/encode.js';
import { add, multiply, round, Sum, toNumber } from '../../runtime/embedded/document-store/bson/numbers.js';
import type { Doc, Numeric, Value } from '../../runtime/embedded/document-store/bson/values.js';
import { CommandError } from '../../runtime/embedded/document-store/errors.js';

const int32 = fc.integer().map((value) => new Int32(value));
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const double = fc
  .oneof(fc.double(), fc.integer(), fc.constantFrom(2 ** 53, 2 ** 63, -0))
  .map((value) => new Double(value));
const decimal = fc
  .oneof(
    fc.tuple(fc.bigInt({ min: -(10n ** 34n) + 1n, max: 10n ** 34n - 1n }), fc.integer({ min: -60, max: 60 })),
    fc.tuple(fc.bigInt({ min: -100n, max: 100n }), fc.integer({ min: -3, max: 3 })),
  )
  .map(([digits, exponent]) => Decimal128.fromString(`${digits.toString()}E${exponent}`));
const special = fc.constantFrom<Numeric>(
  new Double(NaN),
  new Double(Infinity),
  new Double(-Infinity),
  Decimal128.fromString('NaN'),
  Decimal128.fromString('Infinity'),
  Decimal128.fromString('-Infinity'),
  Decimal128.fromString('0.1'),
  new Double(0.1),
);
const small = fc.integer({ min: -3, max: 3 });
const numeric = fc.oneof(
  int32,
  int64,
  double,
  decimal,
  special,
  small.map((value) => new Int32(value)),
  small.map((value) => new Double(value / 2)),
  small.map((value) => BigInt(value)),
  small.map((value) => Decimal128.fromString(`${value * 5}E-1`)),
);

const scalar: fc.Arbitrary<Value> = fc.oneof(
  numeric,
  fc.string({ unit: 'binary' }),
  fc.boolean(),
  fc.constant(null),
  fc.date({ noInvalidDate: true }),
  fc.uint8Array({ minLength: 12, maxLength: 12 }).map((bytes) => new ObjectId(bytes)),
  fc.uint8Array().map((bytes) => new Binary(bytes)),
  fc.constantFrom<Value>(
    new MinKey(),
    new MaxKey(),
    new BSONRegExp('a', 'i'),
    new Code('x'),
    new Timestamp({ t: 1, i: 2 }),
  ),
);
const name = fc.string({ unit: 'grapheme-ascii', maxLength: 3 });
const { value } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    scalar,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.array(fc.tuple(name, tie('value')), { maxLength: 3 }).map((fields) => new Map(fields)),
  ),
}));

describe('the order of BSON values', () => {
  const ascending: Value[] = [
    new MinKey(),
    null,
    new Double(NaN),
    new Double(-Infinity),
    -(2n ** 63n),
    new Int32(-1),
    Decimal128.fromString('0.0999999999999999999999'),
    // Of these two the double is the greater, by 5.55e-18.
    Decimal128.fromString('0.1'),
    new Double(0.1),
    new Double(0.5),
    new Int32(1),
    new Double(2 ** 53),
    2n ** 53n + 1n,
    Decimal128.fromString('9007199254740993.5'),
    new Double(2 ** 63),
    Decimal128.fromString('1E400'),
    new Double(Infinity),
    '',
    'Z',
    'a',
    'ab',
    // By code point, where JavaScript's own order has the surrogates of the last first.
    '\ufb01',
    '😀',
    new Map(),
    new Map<string, Value>([['b', new Int32(1)]]),
    new Map<string, Value>([
      ['b', new Int32(1)],
      ['a', new Int32(1)],
    ]),
    new Map<string, Value>([['a', 'text']]),
    [],
    [new Int32(1)],
    [new Int32(1), new Int32(0)],
    [new Int32(2)],
    new Binary(Buffer.from([255])),
    new Binary(Buffer.from([0, 0])),
    new ObjectId('000000000000000000000001'),
    new ObjectId('ffffffffffffffffffffffff'),
    false,
    true,
    new Date(-1),
    new Date(0),
    new Timestamp({ t: 1, i: 5 }),
    new Timestamp({ t: 2, i: 0 }),
    new BSONRegExp('a', ''),
    new BSONRegExp('a', 'i'),
    new Code('x'),
    new MaxKey(),
  ];

  it("is MongoDB's, over all types", () => {
    for (const [at, a] of ascending.entries()) {
      for (const [other, b] of ascending.entries()) {
        strictEqual(Math.sign(compare(a, b)), Math.sign(at - other), `${at} and ${other}`);
      }
    }
  });

  it('is an order', () => {
    fc.assert(
      fc.property(value, value, value, (a, b, c) => {
        strictEqual(Math.sign(compare(a, b)), -Math.sign(compare(b, a)) + 0);
        if (compare(a, b) <= 0 && compare(b, c) <= 0) ok(compare(a, c) <= 0);
      }),
      { numRuns: 2_000 },
    );
  });

  it('has one key for equal values, and another for others', () => {
    fc.assert(
      fc.property(value, value, (a, b) => strictEqual(keyOf(a).equals(keyOf(b)), compare(a, b) === 0)),
      { numRuns: 2_000 },
    );
    fc.assert(
      fc.property(numeric, numeric, (a, b) => strictEqual(keyOf(a).equals(keyOf(b)), compare(a, b) === 0)),
      { numRuns: 5_000 },
    );
  });

  it('takes 1, 1.0, Long(1) and Decimal128(1) for one number', () => {
    const ones = [new Int32(1), new Double(1), 1n, Decimal128.fromString('1'), Decimal128.fromString('1.000')];
    strictEqual(new Set(ones.map((one) => keyOf(one).toString('hex'))).size, 1);
  });
});

describe('BSON', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(name, value)), (fields) => {
        const doc: Doc = new Map(fields);
        const raw = encode(doc);
        validate(raw);
        deepStrictEqual(encode(decode(raw)), raw);
      }),
      { numRuns: 1_000 },
    );
  });

  it('keeps fields in their order, also names that look like numbers', () => {
    const doc: Doc = new Map<string, Value>([
      ['b', null],
      ['10', null],
      ['2', null],
      ['__proto__', null],
    ]);
    deepStrictEqual([...decode(encode(doc)).keys()], ['b', '10', '2', '__proto__']);
  });

  it('is refused where it is damaged, and never read beyond its end', () => {
    const raw = Buffer.from(
      serialize({ a: 'text', b: { c: [1, 2.5, true] }, d: new Date(), e: new ObjectId(), f: /x/i }),
    );
    fc.assert(
      fc.property(fc.nat(raw.length - 1), fc.nat(255), (at, byte) => {
        const damaged = Buffer.from(raw);
        damaged[at] = byte;
        let valid = true;
        try {
          validate(damaged);
        } catch (error) {
          valid = false;
          ok(error instanceof CommandError, String(error));
        }
        // What has been let in can be read.
        if (valid) decode(damaged);
      }),
      { numRuns: 5_000 },
    );
    for (let length = 0; length < raw.length; length++) throws(() => validate(raw.subarray(0, length)), Error);
  });

  it('gets its _id put first', () => {
    const { raw, id } = withLeadingId(Buffer.from(serialize({ a: 1, _id: 'x', b: 2 })));
    strictEqual(id, 'x');
    deepStrictEqual(
      [...decode(raw)],
      [
        ['_id', 'x'],
        ['a', new Int32(1)],
        ['b', new Int32(2)],
      ],
    );
  });
});

describe('arithmetic', () => {
  it('widens as MongoDB does', () => {
    deepStrictEqual(add(new Int32(1), new Int32(2)), new Int32(3));
    deepStrictEqual(add(new Int32(2 ** 31 - 1), new Int32(1)), 2n ** 31n);
    deepStrictEqual(add(new Int32(1), 1n), 2n);
    deepStrictEqual(add(1n, new Double(0.5)), new Double(1.5));
    deepStrictEqual(multiply(new Int32(3), new Double(2)), new Double(6));
    strictEqual(add(2n ** 63n - 1n, new Int32(1)), undefined);
  });

  it('refuses Decimal128', () => {
    throws(() => add(Decimal128.fromString('1'), new Int32(1)), { codeName: 'NotImplemented' });
  });

  it('sums without the errors of doubles', () => {
    const sum = new Sum();
    for (let count = 0; count < 10; count++) sum.add(new Double(0.1));
    deepStrictEqual(sum.value(), new Double(1));
    const large = new Sum();
    for (const summand of [2n ** 53n, 1n, new Double(0.5), -(2n ** 53n)]) large.add(summand);
    strictEqual(toNumber(large.value()), 1.5);
    const infinite = new Sum();
    for (const summand of [Infinity, 1, Infinity]) infinite.add(new Double(summand));
    deepStrictEqual(infinite.value(), new Double(Infinity));
  });

  it('rounds the exact value, ties to even', () => {
    const cases: [number, number, number][] = [
      [2.5, 0, 2],
      [3.5, 0, 4],
      [-2.5, 0, -2],
      // A little less than it looks.
      [2.675, 2, 2.67],
      [0.125, 2, 0.12],
      [1234.5678, 1, 1234.6],
    ];
    for (const [from, places, to] of cases) deepStrictEqual(round(new Double(from), places), new Double(to));
  });
});
