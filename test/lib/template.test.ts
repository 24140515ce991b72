import assert from 'node:assert/strict';
import { ConfigError } from '../../nodes/lib/errors.js';
import { compilePath, compileTemplate } from '../../nodes/lib/template.js';

describe('templates', () => {
  const scope = {
    payload: {
      uuid: 'a',
      n: 0,
      no: false,
      list: ['x', { y: 'z' }],
      'odd key': 'k',
      empty: '',
      at: new Date(0),
      none: null,
    },
    topic: ['site', 'north'],
  };
  const rendered: [template: string, text: string | undefined][] = [
    ['device/{payload.uuid}', 'device/a'],
    ['{topic[1]}-{payload.list[1].y}', 'north-z'],
    ['{payload["odd key"]}', 'k'],
    ['{payload.n}{payload.no}', '0false'],
    ['{payload.at}', '1970-01-01T00:00:00.000Z'],
    ['{{literal}}', '{literal}'],
    ['', ''],
    ['{payload.missing}', undefined],
    ['{payload.empty}', undefined],
    ['{payload.none}', undefined],
    ['{payload}', undefined],
    ['{payload.uuid.length}', undefined],
    ['{payload.constructor.name}', undefined],
    ['{payload.__proto__}', undefined],
    ['{topic.length}', '2'],
    ['{topic[7]}', undefined],
  ];
  for (const [template, text] of rendered) {
    it(`${template} gives ${JSON.stringify(text)}`, () => {
      assert.equal(compileTemplate(template).render(scope), text);
    });
  }

  it('encode fields, not the fixed text', () => {
    assert.equal(
      compileTemplate('a/{payload.uuid}/b').render({ payload: { uuid: '../x' } }, encodeURIComponent),
      'a/..%2Fx/b',
    );
  });

  for (const template of ['{', 'a}', '{}', '{a..b}', '{a b}', '{a[x]}']) {
    it(`${template} is refused`, () => {
      assert.throws(
        () => compileTemplate(template),
        (error) => error instanceof ConfigError && error.message.startsWith('expected'),
      );
    });
  }

  it('a path reads own properties only', () => {
    assert.equal(compilePath('a.b')(Object.create({ a: { b: 1 } })), undefined);
    assert.equal(compilePath('a.b')({ a: { b: 1 } }), 1);
  });
});
