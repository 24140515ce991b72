import assert from 'node:assert/strict';
import Type from 'typebox';
import { ConfigError } from '../../nodes/lib/errors.js';
import { compileSettings } from '../../nodes/lib/settings.js';

const schema = Type.Object({
  host: Type.String({ minLength: 1, default: 'localhost' }),
  port: Type.Integer({ minimum: 1, maximum: 65_535, default: 1883 }),
  clean: Type.Boolean({ default: false }),
  qos: Type.Union([Type.Literal(0), Type.Literal(1), Type.Literal(2)], { default: 1 }),
  group: Type.Optional(Type.String()),
  rules: Type.Array(Type.Object({ name: Type.String({ minLength: 1 }), limit: Type.Number({ default: 5 }) }), {
    default: [],
  }),
});

describe('settings', () => {
  const settings = compileSettings<Record<string, unknown>>(schema);
  const environment: Record<string, string> = {
    PORT: '8883',
    HOST: 'broker',
    CLEAN: 'false',
    QOS: '2',
    RULES: '[{"name":"a"}]',
  };
  const resolve = (raw: Record<string, unknown>) => settings.resolve(raw, (name) => environment[name]);

  it('fills in defaults, in rows too, and leaves out what the schema does not name', () => {
    assert.deepEqual(resolve({ id: 'x', wires: [[]], rules: [{ name: 'a' }], group: '' }), {
      host: 'localhost',
      port: 1883,
      clean: false,
      qos: 1,
      rules: [{ name: 'a', limit: 5 }],
    });
  });

  it('makes texts of a form what the field is', () => {
    const { port, clean, qos } = resolve({ port: '1884', clean: 'true', qos: '0' });
    assert.deepEqual([port, clean, qos], [1884, true, 0]);
  });

  it('puts variables in, whole or within a text, as the type of the field', () => {
    assert.deepEqual(
      resolve({ host: '${HOST}.local', port: '${PORT}', clean: '${CLEAN}', qos: '${QOS}', rules: '${RULES}' }),
      {
        host: 'broker.local',
        port: 8883,
        clean: false,
        qos: 2,
        rules: [{ name: 'a', limit: 5 }],
      },
    );
  });

  const wrong: [raw: Record<string, unknown>, path: string, sentence: RegExp][] = [
    [{ port: '70000' }, '/port', /expected a number <= 65535, got number 70000/],
    [{ port: 'many' }, '/port', /expected a value of type integer, got "many"/],
    [{ qos: 3 }, '/qos', /expected one of 0, 1, 2, got number 3/],
    [{ rules: [{ name: 'a' }, { name: '' }] }, '/rules/1/name', /expected at least 1 characters, got ""/],
    [{ host: '${NOT_SET}' }, '/host', /expected the environment variable NOT_SET to be set, got nothing/],
    [{ rules: [{ name: '${NOT_SET}' }] }, '/rules/0/name', /NOT_SET/],
    [{ rules: 'x' }, '/rules', /expected a value of type array, got "x"/],
  ];
  for (const [raw, path, sentence] of wrong) {
    it(`${JSON.stringify(raw)} is refused at ${path}`, () => {
      assert.throws(
        () => resolve(raw),
        (error) =>
          error instanceof ConfigError &&
          error.path === path &&
          sentence.test(error.message) &&
          error.message.includes(path),
      );
    });
  }
});
