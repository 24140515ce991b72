import assert from 'node:assert/strict';
import fanOutRouter from '../../nodes/fan-out-router/fan-out-router.js';
import messageSchema from '../../nodes/message-schema/message-schema.js';
import schemaFilter from '../../nodes/schema-filter/schema-filter.js';
import { useNodeRed, type FlowNode } from '../node-red.js';

describe('every node', () => {
  const nodeRed = useNodeRed();
  const helper = (id: string): FlowNode => ({ id, type: 'helper', z: 'tab', x: 1, y: 1 });
  const catching: FlowNode[] = [
    { id: 'catch', type: 'catch', z: 'tab', x: 1, y: 1, scope: null, uncaught: false, wires: [['caught']] },
    helper('caught'),
  ];
  const router = (settings: Record<string, unknown>): FlowNode => ({
    id: 'router',
    type: 'fan-out-router',
    z: 'tab',
    x: 1,
    y: 1,
    configVersion: 1,
    mode: 'all',
    outputs: 3,
    wires: [['out'], [], []],
    ...settings,
  });
  const tab = { id: 'tab', type: 'tab', env: [{ name: 'RULE', value: 'from the tab', type: 'str' }] };

  it('takes a variable of its tab, as Node-RED nodes do', async () => {
    await nodeRed.load([fanOutRouter], [tab, router({ rules: [{ name: '${RULE}' }] }), helper('out')]);
    const shown = nodeRed.status('router', /from the tab 1/);
    nodeRed.send('router', { payload: 1 });
    await shown;
  });

  it('refuses settings of a newer palette, and says what to do', async () => {
    await nodeRed.load([fanOutRouter], [tab, router({ configVersion: 2, rules: [{ name: 'a' }] }), helper('out')]);
    assert.ok(
      nodeRed
        .logged()
        .some((text) => /\/configVersion: expected a version of fan-out-router from 1 to 1, got 2.*update/.test(text)),
    );
  });

  it('with wrong settings fails each message with the reason, and the process lives on', async () => {
    await nodeRed.load([fanOutRouter], [tab, router({ rules: [{ name: '${NOT_SET}' }] }), helper('out'), ...catching]);
    const caught = nodeRed.messages('caught', 2);
    nodeRed.send('router', { payload: 1 });
    nodeRed.send('router', { payload: 2 });
    for (const { error } of await caught) {
      assert.match(
        (error as { message: string }).message,
        /\/rules\/0\/name: expected the environment variable NOT_SET to be set/,
      );
    }
  });

  it('gives what it rejects a payload of its own', async () => {
    const failing = { name: 'hot', conditions: [{ property: 'payload.value', comparison: 'gt', value: '28' }] };
    await nodeRed.load(
      [fanOutRouter],
      [
        tab,
        router({ rules: [{ name: 'all' }, failing], outputs: 4, wires: [['out'], [], [], ['error']] }),
        helper('out'),
        helper('error'),
      ],
    );
    const [out, error] = [nodeRed.messages('out'), nodeRed.messages('error')];
    nodeRed.send('router', { payload: { value: 'high' } });
    const payloads = [(await out)[0]?.payload, (await error)[0]?.payload];
    assert.deepEqual(payloads[0], payloads[1]);
    assert.notEqual(payloads[0], payloads[1]);
  });

  it('refuses two rules of one name, and schemas that would check nothing or end the process', async () => {
    const schema = (text: object): FlowNode => ({
      id: 'schema',
      type: 'message-schema',
      configVersion: 1,
      name: 'reading',
      version: '1',
      schema: JSON.stringify(text),
    });
    const cases: [FlowNode, RegExp][] = [
      [router({ rules: [{ name: 'a' }, { name: 'a' }] }), /\/rules\/1\/name: expected a name that no other rule has/],
      [schema({ $async: true, type: 'object' }), /expected a schema that answers at once/],
      [schema({ properties: { at: { type: 'string', format: 'datetime' } } }), /unknown format "datetime"/],
    ];
    for (const [node, sentence] of cases) {
      await nodeRed.load([fanOutRouter, messageSchema, schemaFilter], [tab, node, helper('out')]);
      assert.ok(
        nodeRed.logged().some((text) => sentence.test(text)),
        String(sentence),
      );
      await nodeRed.unload();
    }
  });
});
