import assert from 'node:assert/strict';
import fc from 'fast-check';
import { RejectedError } from '../../nodes/lib/errors.js';
import { MOST_LEVELS, parseJson } from '../../nodes/lib/json.js';

function refusal(text: string, strict = false): string {
  try {
    parseJson(text, strict);
  } catch (error) {
    assert.ok(error instanceof RejectedError, String(error));
    return `${error.code}: ${error.message}`;
  }
  throw new Error(`expected ${text} to be refused`);
}

describe('parseJson', () => {
  it('gives what the text says', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const safe = JSON.stringify(value, (name, item: unknown) =>
          name === '__proto__' || (typeof item === 'number' && Math.abs(item) > Number.MAX_SAFE_INTEGER) ? null : item,
        );
        if (safe.includes('"__proto__"')) return; // it would be refused
        assert.deepEqual(parseJson(safe, false), JSON.parse(safe));
      }),
    );
  });

  for (const [text, expected] of [
    ['{"n":9007199254740991,"m":-9007199254740991}', { n: 2 ** 53 - 1, m: -(2 ** 53 - 1) }],
    ['[1e20, 1.5e300, 4.9e-324, 0e-9, 0.0, 0]', [1e20, 1.5e300, 5e-324, 0, 0, 0]],
    ['"9007199254740993 1e999 __proto__"', '9007199254740993 1e999 __proto__'],
    ['{"a":"{\\"a\\":1,\\"__proto__\\":9007199254740993}"}', { a: '{"a":1,"__proto__":9007199254740993}' }],
    ['{"proto":{"constructor":1,"prototype":2}}', { proto: { constructor: 1, prototype: 2 } }],
  ] as const) {
    it(`takes ${text}`, () => {
      assert.deepEqual(parseJson(text, false), expected);
      assert.deepEqual(parseJson(text, true), expected);
    });
  }

  for (const [text, sentence] of [
    ['{"a":', /^invalid-json: expected JSON, got 5 characters that are not: /],
    [
      '{"a":[1,{"b/c":9007199254740993}]}',
      /^unsafe-integer: \/a\/1\/b~1c: expected an integer .* got 9007199254740993$/,
    ],
    [
      '-9007199254740992',
      /^unsafe-integer: \/: expected an integer from -\(2\^53 - 1\) to 2\^53 - 1, got -9007199254740992$/,
    ],
    [`{"n":${'9'.repeat(400)}}`, /^unsafe-integer: \/n: .* got 9{40}… \(400 characters\)$/],
    ['[0,1e400]', /^number-range: \/1: expected a number that a double holds, got 1e400$/],
    ['[-1.5E+999]', /^number-range: \/0: /],
    ['{"tiny":1e-400}', /^number-range: \/tiny: /],
    [`[0.${'0'.repeat(400)}1]`, /^number-range: \/0: /],
    [
      '{"a":{"__proto__":{"admin":true}}}',
      /^proto-name: \/a\/__proto__: expected no property of the name __proto__, got one$/,
    ],
    ['{"\\u005f_proto__":1}', /^proto-name: /],
  ] as const) {
    it(`refuses ${text.slice(0, 40)}`, () => {
      assert.match(refusal(text), sentence);
      assert.match(refusal(` \n${text}\t`), /^[a-z-]+: /);
    });
  }

  it('refuses more levels than a document may have, at whatever depth', () => {
    const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
    assert.equal(JSON.stringify(parseJson(nested(MOST_LEVELS), true)), nested(MOST_LEVELS));
    for (const levels of [MOST_LEVELS + 1, 200_000]) assert.match(refusal(nested(levels)), /^too-deep: /);
    assert.match(refusal('{"a":'.repeat(200_000) + '1' + '}'.repeat(200_000)), /^too-deep: /);
  });

  describe('when it is strict', () => {
    for (const [text, sentence] of [
      ['{"a":1,"a":1}', /^duplicate-name: \/a: expected each name once, got it twice$/],
      ['{"a":1,"a" :2}', /^duplicate-name: /],
      ['{"t":"12:30","x":[{"b":":","b":""}]}', /^duplicate-name: \/x\/0\/b: /],
      ['{"a":1,"\\u0061":2}', /^duplicate-name: /],
      ['{"a":"\\ud800"}', /^lone-surrogate: \/a: expected text in whole characters, got half of a surrogate pair$/],
    ] as const) {
      it(`refuses ${text}, which it takes otherwise`, () => {
        assert.match(refusal(text, true), sentence);
        assert.deepEqual(parseJson(text, false), JSON.parse(text));
      });
    }

    it('refuses just those texts in which a name stands twice', () => {
      const name = fc.constantFrom('a', 'b', ':', 'a:b', '"', '\\', '\u00e9');
      const space = fc.constantFrom('', ' ', '\n');
      const scalar = fc.oneof(
        fc.string({ maxLength: 4 }).map((text) => JSON.stringify(text)),
        fc.constantFrom('1', 'true', 'null', '":"'),
      );
      const { value } = fc.letrec<{ value: { text: string; repeats: boolean } }>((tie) => ({
        value: fc.oneof(
          { maxDepth: 4 },
          scalar.map((text) => ({ text, repeats: false })),
          fc.array(tie('value'), { maxLength: 3 }).map((items) => ({
            text: `[${items.map(({ text }) => text).join(',')}]`,
            repeats: items.some(({ repeats }) => repeats),
          })),
          fc.array(fc.tuple(name, space, tie('value')), { maxLength: 4 }).map((pairs) => ({
            text: `{${pairs.map(([key, gap, item]) => `${JSON.stringify(key)}${gap}:${gap}${item.text}`).join(',')}}`,
            repeats:
              new Set(pairs.map(([key]) => key)).size < pairs.length || pairs.some(([, , { repeats }]) => repeats),
          })),
        ),
      }));
      fc.assert(
        fc.property(value, ({ text, repeats }) => {
          if (repeats) assert.match(refusal(text, true), /^duplicate-name: /);
          else assert.deepEqual(parseJson(text, true), JSON.parse(text));
        }),
        { numRuns: 2_000 },
      );
    });
  });
});
