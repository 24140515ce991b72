import assert from 'node:assert/strict';
import { Instance } from '../../nodes/adapter/instance.js';
import type { Red } from '../../nodes/adapter/red.js';
import type { NodeContext } from '../../nodes/adapter/define-node.js';
import type { Config } from '../../nodes/fan-out-router/config.js';
import fanOutRouter from '../../nodes/fan-out-router/fan-out-router.js';
import { FanOutRouter } from '../../nodes/fan-out-router/router.js';
import { Counters } from '../../nodes/lib/counters.js';
import type { JsonataExpression } from '../../nodes/lib/jsonata.js';
import type { Message } from '../../nodes/lib/message.js';
import { useNodeRed, type FlowNode } from '../node-red.js';

type RouterContext = NodeContext<Config, unknown>;

interface Rule {
  name: string;
  topic?: string;
  enabled?: boolean;
  match?: 'all' | 'any' | 'jsonata';
  expression?: string;
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

  const jsonata = (name: string, expression: string): Rule => ({ name, match: 'jsonata', expression });

  it('takes a JSONata expression as a condition, beside rules of rows', async () => {
    const north = jsonata('north', '$contains(topic, "north") and payload.value > 28');
    assert.deepEqual(await outputsOf([north, hot], { topic: 'site/north', payload: { value: 30 } }), ['north', 'hot']);
    assert.deepEqual(await outputsOf([north, all], { topic: 'site/south', payload: { value: 30 } }), ['all']);
    assert.deepEqual(await outputsOf([north], { payload: {} }), ['no match'], 'nothing does not match');
    assert.deepEqual(await outputsOf([jsonata('a', 'true'), all], { payload: 1 }, 'first'), ['a']);
    assert.deepEqual(await outputsOf([jsonata('old', 'msg.payload = 1')], { payload: 1 }), ['old']);
    assert.deepEqual(await outputsOf([{ ...jsonata('topic', 'true'), topic: 'a/#' }], { topic: 'b' }), ['no match']);
  });

  const failing: [expression: string, code: string, sentence: RegExp][] = [
    ['payload.value', 'jsonata-result', /expected true, false or nothing, got "high": \$boolean\(\) makes a condition/],
    ['payload.value > 28', 'jsonata', /rule "bad": .*operator/],
    ['$error("no such device")', 'jsonata', /rule "bad": no such device/],
    [
      '($f := function($n) { $f($n + 1) + 1 }; $f(1) > 0)',
      'jsonata-limit',
      /rule "bad": expected at most 500 levels of evaluation, got none/,
    ],
    [
      '($f := function($n) { $f($n + 1) }; $f(1) > 0)',
      'jsonata-limit',
      /rule "bad": expected an answer within 1000 ms/,
    ],
  ];
  for (const [expression, code, sentence] of failing) {
    it(`answers ${expression} on a value that it cannot take, and the others go on`, async () => {
      await nodeRed.load([fanOutRouter], flow([jsonata('bad', expression), hot, { name: 'all' }]));
      const [error, other] = [nodeRed.messages('error'), nodeRed.messages('all')];
      nodeRed.send('router', { payload: { value: 'high' } });
      await other;
      const { rejection } = (await error)[0] ?? {};
      assert.equal(rejection?.code, code);
      assert.match(rejection.message, sentence);
      assert.equal(rejection['rule'], 'bad');
    });
  }

  it('keeps the order of messages: none overtakes one that waits for an expression', async () => {
    await nodeRed.load([fanOutRouter], flow([jsonata('slow', '$sum([1..payload.work].($ + 1)) > 0'), all]));
    const got = nodeRed.messages('all', 50);
    for (let index = 0; index < 50; index++) {
      nodeRed.send('router', { payload: { index, work: index % 3 === 0 ? 200 : 0 } });
    }
    const order = (await got).map(({ payload }) => (payload as { index: number }).index);
    assert.deepEqual(
      order,
      Array.from({ length: 50 }, (_, index) => index),
    );
  });

  it('holds a bounded number of messages that wait, and fails those beyond', async () => {
    await nodeRed.load([fanOutRouter], flow([jsonata('slow', 'payload >= 0')]));
    const [got, caught] = [nodeRed.messages('slow', 1_000), nodeRed.messages('caught', 5)];
    for (let index = 0; index < 1_005; index++) nodeRed.send('router', { payload: index });
    await got;
    assert.match(
      ((await caught)[0]?.['error'] as { message: string }).message,
      /expected at most 1000 messages that wait for a JSONata rule, got more/,
    );
  });

  it('fails, and counts, what waits for an expression when it closes: what it sent then would have no taker', async () => {
    const closing = new AbortController();
    const answer = Promise.withResolvers<boolean>();
    const counters = new Counters();
    /** Stands in for JSONata: it answers when the test says so. */
    const engine = (): JsonataExpression => ({
      assign: () => undefined,
      ast: () => ({}),
      evaluate: () => answer.promise,
    });
    const rule = { name: 'slow', enabled: true, match: 'jsonata', expression: 'x', conditions: [] };
    const context = { config: { rules: [rule], mode: 'all' }, jsonata: engine, closing: closing.signal };
    const router = new FanOutRouter({ ...context, counters, status: () => undefined } as unknown as RouterContext);
    const sent: Message[] = [];
    const outcomes = [1, 2].map((payload) => router.input({ payload }, (message) => void sent.push(message)));
    closing.abort();
    answer.resolve(true);
    for (const outcome of outcomes) await assert.rejects(Promise.resolve(outcome), /before the node was closed/);
    assert.deepEqual(sent, []);
    assert.equal(counters.snapshot()['abandoned{closed}'], 2);
  });

  it('sends nothing by a rule that is off; a message that only it would take is no "no match"', async () => {
    const off: Rule = { ...hot, enabled: false };
    assert.deepEqual(await outputsOf([off, all], { payload: { value: 30 } }), ['all']);
    assert.deepEqual(await outputsOf([off, all], { payload: { value: 30 } }, 'first'), ['all']);
    assert.deepEqual(await outputsOf([off], { payload: { value: 3 } }), ['no match']);
    assert.deepEqual(await outputsOf([off], { payload: { value: 'high' } }), ['no match'], 'it cannot fail');
    assert.deepEqual(await outputsOf([{ ...jsonata('j', 'true'), enabled: false }], { payload: 1 }), []);
    let red: Red | undefined;
    await nodeRed.load([(runtime) => fanOutRouter((red = runtime))], flow([off]));
    const shown = nodeRed.status('router', /hot off/);
    nodeRed.send('router', { payload: { value: 30 } });
    await shown;
    assert.deepEqual(red && Instance.of(red).nodes.get('router')?.counters.snapshot(), {
      received: 1,
      'switched-off': 1,
      'switched-off{hot}': 1,
    });
  });

  it('matches patterns in linear time, and refuses those that cannot be', async () => {
    const evil: Rule = {
      name: 'evil',
      conditions: [{ property: 'payload', comparison: 'matches', value: '^(a+)+$' }],
    };
    const payload = `${'a'.repeat(100_000)}!`;
    assert.deepEqual(await outputsOf([evil], { payload }), ['no match']);
    assert.deepEqual(await outputsOf([jsonata('evil', '$contains(payload, /^(a+)+$/)')], { payload }), ['no match']);
    assert.deepEqual(await outputsOf([jsonata('good', '$count($match(payload, /(b|a)!/)) = 1')], { payload }), [
      'good',
    ]);
  });

  const refused: [rule: Rule, sentence: RegExp][] = [
    [
      { name: 'r', match: 'jsonata', expression: 'payload.value >' },
      /\/rules\/0\/expression: expected a JSONata expression, got "payload\.value >": Unexpected end of expression \(character 15\)/,
    ],
    [{ name: 'r', match: 'jsonata' }, /\/rules\/0\/expression: expected a JSONata expression, got ""/],
    [
      { name: 'r', match: 'jsonata', expression: '$contains(payload, /(?=a)b/)' },
      /\/rules\/0\/expression: .*expected a pattern that can be matched in linear time/,
    ],
    [
      { name: 'r', conditions: [{ property: 'a', comparison: 'matches', value: '(?<=a)b' }] },
      /\/rules\/0\/conditions\/0\/value: expected a pattern that can be matched in linear time/,
    ],
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
