import assert from 'node:assert/strict';
import fc from 'fast-check';
import { compilePattern } from '../../nodes/lib/pattern.js';

describe('patterns', () => {
  const sources = [
    '^(a|b)+$',
    '\\s',
    '(\\S+)',
    '[\\s,]+(x)?',
    '(.)',
    '[^\\S]',
    '\\u00e9|\\u{1F600}',
    '[^]',
    '\\p{L}+',
    '^[\\w-]+$',
    '(?<n>a)(b)?',
    '\\cA|\\/',
    '^.{1,64}$',
    '[$.]',
    '([\\]a-])',
    '',
    '\\ba',
  ];
  const text = fc
    .array(
      fc.constantFrom(
        'a',
        'b',
        ' ',
        '\n',
        '\r',
        '\u00a0',
        '\u2028',
        '\ufeff',
        'é',
        '😀',
        '\0',
        '\u0001',
        '-',
        ']',
        '$',
        '.',
        ',',
      ),
    )
    .map((parts) => parts.join(''));
  for (const source of sources) {
    it(`/${source}/ matches what JavaScript's own engine matches`, () => {
      const [native, pattern] = [new RegExp(source, 'u'), compilePattern(source)];
      fc.assert(
        fc.property(text, (subject) => {
          const expected = native.exec(subject);
          const got = pattern.find(subject, 0);
          assert.deepEqual(got === null ? null : [...got], expected === null ? null : [...expected]);
          assert.equal(got?.index, expected?.index);
          assert.equal(pattern.test(subject), expected !== null);
        }),
      );
    });
  }

  it('takes time by the length of the text, where backtracking would not end', () => {
    const long = 'a'.repeat(200_000);
    for (const source of ['^(a+)+$', '(a|aa)+$', '^a*a*a*a*$', 'a+b', '^(?:a?){30}a{30}$', '(.*)*x']) {
      assert.equal(compilePattern(source).test(`${long}!`), false, source);
    }
  });

  it('refuses what cannot be matched so', () => {
    for (const source of ['(?=a)b', '(?!a)b', '(?<=a)b', '(?<!a)b', '(a)\\1', '(?<n>a)\\k<n>', '(a{2000})+']) {
      assert.throws(() => compilePattern(source), /expected a pattern that can be matched in linear time/, source);
    }
    assert.throws(() => compilePattern('('), /expected a regular expression, got "\("/);
  });
});
