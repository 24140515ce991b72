import assert from 'node:assert/strict';
import fanOutRouter from '../../nodes/fan-out-router/fan-out-router.js';
import type { Message } from '../../nodes/lib/message.js';
import { useNodeRed, type FlowNode } from '../node-red.js';

interface Rule {
  name: string;
  topic?: string;
  match?: 'all' | 'any';
  conditions?: { property: string; comparison: string; value?: string }[];
}

describe('fan-out-router', () => {
  const nodeRed = useNodeRed();

  function flow(rules: Rule[], mode = 'all', wired = true): FlowNode[] {
    const outputs = [...rules.map(({ name }) => name), 'no match', 'error'];
    const helper = (id: string): FlowNode => ({ id, type: 'helper', z: 'tab', x: 1, y: 1 });
    const last = wired ? outputs.map((id) => [id]) : outputs.map((id) => (id === 'error' ? [] : [id]));
    return [
      { id: 'tab', type: 'tab' },
      {
        id: 'router',
        type: 'fan-out-router',
        z: 'tab',
        x: 1,
        y: 1,
        configVersion: 1,
        mode,
        rules,
        outputs: outputs.length,
        wires: last,
      },
      ...outputs.map(helper),
      { id: 'catch', type: 'catch', z: 'tab', x: 1, y: 1, scope: null, uncaught: false, wires: [['caught']] },
      helper('caught'),
    ];
  }

  /** The outputs that a message leaves by, told by a second message that all rules' outputs see last. */
  async function outputsOf(rules: Rule[], message: Message, mode?: string): Promise<string[]> {
    await nodeRed.load([fanOutRouter], flow(rules, mode));
    const names = [...rules.map(({ name }) => name), 'no match', 'error'];
    const got: string[] = [];
    for (const name of names) nodeRed.node(name).on('input', () => got.push(name));
    const shown = nodeRed.status('router', /./);
    nodeRed.send('router', message);
    await Promise.race([Promise.any(names.map((name) => nodeRed.messages(name))), shown]);
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    await nodeRed.unload();
    return got;
  }

  const hot: Rule = { name: 'hot', conditions: [{ property: 'payload.value', comparison: 'gt', value: '28' }] };
  const all: Rule = { name: 'all' };
  const north: Rule = { name: 'north', topic: 'site/north/#' };

  it('sends to every rule that matches', async () => {
    assert.deepEqual(await outputsOf([all, hot, north], { topic: 'site/north/a', payload: { value: 30 } }), [
      'all',
      'hot',
      'north',
    ]);
    assert.deepEqual(await outputsOf([all, hot, north], { topic: 'site/south/a', payload: { value: 20 } }), ['all']);
  });

  it('sends to the first rule that matches', async () => {
    assert.deepEqual(await outputsOf([hot, all], { payload: { value: 30 } }, 'first'), ['hot']);
    assert.deepEqual(await outputsOf([hot, all], { payload: { value: 3 } }, 'first'), ['all']);
  });

  it('sends to "no match" what no rule takes', async () => {
    assert.deepEqual(await outputsOf([hot, north], { topic: 'x', payload: { value: 1 } }), ['no match']);
    assert.deepEqual(await outputsOf([hot], { payload: {} }), ['no match'], 'a missing property does not match');
  });

  const table: [comparison: string, value: string | undefined, actual: unknown, matches: boolean][] = [
    ['eq', '5', 5, true],
    ['eq', '"5"', 5, false],
    ['eq', '"5"', '5', true],
    ['eq', 'true', true, true],
    ['eq', 'on', 'on', true],
    ['eq', 'null', null, true],
    ['ne', '5', 6, true],
    ['ne', '5', undefined, false],
    ['ge', '5', 5, true],
    ['lt', '5', 5, false],
    ['le', '2026-01-01', '2025-12-31', true],
    ['in', 'a, b, 3', 3, true],
    ['in', 'a, b', 'c', false],
    ['contains', 'b', 'abc', true],
    ['contains', '2', [1, 2], true],
    ['starts', 'ab', 'abc', true],
    ['ends', 'ab', 'abc', false],
    ['matches', '^a.c$', 'abc', true],
    ['exists', undefined, 0, true],
    ['missing', undefined, 0, false],
    ['missing', undefined, undefined, true],
  ];
  for (const [comparison, value, actual, matches] of table) {
    it(`${JSON.stringify(actual)} ${comparison} ${value ?? ''}: ${matches}`, async () => {
      const rule: Rule = {
        name: 'rule',
        conditions: [{ property: 'payload.v', comparison, ...(value !== undefined && { value }) }],
      };
      assert.deepEqual(await outputsOf([rule], { payload: { v: actual } }), [matches ? 'rule' : 'no match']);
    });
  }

  it('joins conditions with and, or with or', async () => {
    const conditions = [
      { property: 'payload.a', comparison: 'eq', value: '1' },
      { property: 'payload.b', comparison: 'eq', value: '1' },
    ];
    const both: Rule = { name: 'both', match: 'all', conditions };
    const either: Rule = { name: 'either', match: 'any', conditions };
    assert.deepEqual(await outputsOf([both, either], { payload: { a: 1, b: 2 } }), ['either']);
    assert.deepEqual(await outputsOf([both, either], { payload: { a: 1, b: 1 } }), ['both', 'either']);
  });

  it('sends a message on which a rule fails to the error output, with its name, and the others go on', async () => {
    await nodeRed.load([fanOutRouter], flow([hot, all]));
    const [error, other] = [nodeRed.messages('error'), nodeRed.messages('all')];
    nodeRed.send('router', { payload: { value: 'high' } });
    assert.deepEqual((await other)[0]?.payload, { value: 'high' });
    const { rejection } = (await error)[0] ?? {};
    assert.equal(rejection?.code, 'not-comparable');
    assert.equal(rejection['rule'], 'hot');
    assert.match(rejection.message, /rule "hot": payload\.value: expected a number, got "high"/);
  });

  it('gives it to Catch nodes where the error output is not wired', async () => {
    await nodeRed.load([fanOutRouter], flow([hot], 'all', false));
    const caught = nodeRed.messages('caught');
    nodeRed.send('router', { payload: { value: 'high' } });
    assert.match(((await caught)[0]?.['error'] as { message: string }).message, /rule "hot"/);
  });

  it('gives each output a message of its own', async () => {
    await nodeRed.load([fanOutRouter], flow([all, { name: 'again' }]));
    const both = [nodeRed.messages('all'), nodeRed.messages('again')];
    nodeRed.send('router', { payload: { value: 1 } });
    const [first, second] = (await Promise.all(both)).map(([message]) => message?.payload);
    assert.deepEqual(first, second);
    assert.notEqual(first, second);
  });

  it('counts a rule, in the status', async () => {
    await nodeRed.load([fanOutRouter], flow([all, hot]));
    const shown = nodeRed.status('router', /all 2, hot 1/);
    nodeRed.send('router', { payload: { value: 1 } });
    nodeRed.send('router', { payload: { value: 30 } });
    await shown;
  });

  const refused: [rule: Rule, sentence: RegExp][] = [
    [{ name: 'r', topic: 'a/#/b' }, /\/rules\/0\/topic: expected # only as the whole last level/],
    [{ name: '' }, /\/rules\/0\/name: expected at least 1 characters/],
    [
      { name: 'r', conditions: [{ property: 'a', comparison: 'matches', value: '(' }] },
      /\/rules\/0\/conditions\/0\/value: expected a regular expression/,
    ],
    [
      { name: 'r', conditions: [{ property: 'a', comparison: 'like', value: 'x' }] },
      /\/rules\/0\/conditions\/0\/comparison: expected one of/,
    ],
    [
      { name: 'r', conditions: [{ property: 'a..b', comparison: 'eq', value: 'x' }] },
      /\/rules\/0\/conditions\/0\/property: expected a path/,
    ],
    [
      { name: 'r', conditions: [{ property: 'a', comparison: 'gt', value: 'true' }] },
      /expected a number or a text to compare with/,
    ],
  ];
  for (const [rule, sentence] of refused) {
    it(`refuses at deploy: ${sentence.source}`, async () => {
      await nodeRed.load([fanOutRouter], flow([rule]));
      assert.ok(
        nodeRed.logged().some((text) => sentence.test(text)),
        nodeRed.logged().join('\n'),
      );
    });
  }
});
