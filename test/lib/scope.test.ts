import assert from 'node:assert/strict';
import { templateScope } from '../../nodes/lib/scope.js';
import { compilePath, compileTemplate } from '../../nodes/lib/template.js';

const render = (template: string, scope: object): string | undefined => compileTemplate(template).render(scope);

describe('templateScope', () => {
  it('gives the levels of the topic, and the whole topic without an index', () => {
    const scope = templateScope({ topic: 'plant/7/temperature' });
    assert.equal(render('{topic[0]}-{topic[2]}', scope), 'plant-temperature');
    assert.equal(render('{topic}', scope), 'plant/7/temperature');
    assert.equal(render('{topic[3]}', scope), undefined);
  });

  it('gives the properties of the message and what the node adds, which wins', () => {
    const scope = templateScope({ payload: { uuid: 'a' }, identity: 'i', instance: 'theirs' }, { instance: 'ours' });
    assert.equal(render('{payload.uuid} {identity} {instance}', scope), 'a i ours');
  });

  it('shares what the message holds, and leaves the message as it was', () => {
    const message = { topic: 'a/b', payload: { deep: {} } };
    const scope = templateScope(message, { instance: 'x' });
    assert.equal(compilePath('payload.deep')(scope), message.payload.deep);
    assert.deepEqual(message, { topic: 'a/b', payload: { deep: {} } });
  });

  it('reads own properties only', () => {
    const scope = templateScope({ topic: 'a', payload: {} });
    assert.equal(render('{constructor.name}', scope), undefined);
    assert.equal(render('{payload.toString}', scope), undefined);
    assert.equal(compilePath('topic.join')(scope), undefined);
  });

  it('leaves a topic that is no text as it is', () => {
    assert.equal(render('{topic.name}', templateScope({ topic: { name: 'n' } as never })), 'n');
    assert.equal(render('{topic}', templateScope({ payload: 1 })), undefined);
  });
});
