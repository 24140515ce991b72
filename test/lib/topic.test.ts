import assert from 'node:assert/strict';
import fc from 'fast-check';
import { TopicTree } from '../../nodes/lib/topic-tree.js';
import { shareNameProblem, topicFilterProblem, topicMatches, topicNameProblem } from '../../nodes/lib/topic.js';

const level = fc.constantFrom('', 'a', 'b', '$c', 'ab');
const topics = fc.array(level, { minLength: 1, maxLength: 4 }).map((levels) => levels.join('/'));
const filters = fc
  .tuple(fc.array(fc.oneof(level, fc.constant('+')), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, open]) => [...levels, ...(open ? ['#'] : [])].join('/'));

describe('topic filters', () => {
  // The cases of MQTT 5.0 section 4.7, and their opposites.
  const cases: [filter: string, topic: string, matches: boolean][] = [
    ['sport/tennis/player1/#', 'sport/tennis/player1', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/ranking', true],
    ['sport/tennis/player1/#', 'sport/tennis/player1/score/wimbledon', true],
    ['sport/#', 'sport', true],
    ['sport/tennis/+', 'sport/tennis/player1', true],
    ['sport/tennis/+', 'sport/tennis/player1/ranking', false],
    ['sport/+', 'sport', false],
    ['sport/+', 'sport/', true],
    ['+/+', '/finance', true],
    ['/+', '/finance', true],
    ['+', '/finance', false],
    ['#', '$SYS/uptime', false],
    ['+/monitor/Clients', '$SYS/monitor/Clients', false],
    ['$SYS/#', '$SYS/uptime', true],
    ['$SYS/monitor/+', '$SYS/monitor/Clients', true],
    ['a/b', 'a/b', true],
    ['a/b', 'A/b', false],
  ];
  for (const [filter, topic, matches] of cases) {
    it(`${filter} ${matches ? 'matches' : 'does not match'} ${topic}`, () => {
      assert.equal(topicMatches(filter, topic), matches);
    });
  }

  it('agree with a matcher written another way, on any levels', () => {
    fc.assert(
      fc.property(filters, topics, (filter, topic) => {
        fc.pre(filter !== '' && topic !== '');
        assert.equal(topicMatches(filter, topic), matchesByRegex(filter, topic));
      }),
    );
  });

  it('are found in a tree as they are one by one', () => {
    fc.assert(
      fc.property(fc.array(filters, { maxLength: 30 }), topics, (all, topic) => {
        const tree = new TopicTree<number>();
        for (const [place, filter] of all.entries()) tree.add(filter, place);
        const one = [...all.keys()].filter((place) => topicMatches(all[place] ?? '', topic));
        assert.deepEqual(
          tree.matching(topic).sort((a, b) => a - b),
          one,
        );
      }),
    );
  });

  const refused: [filter: string, clause: RegExp][] = [
    ['', /at least one character/],
    ['a/#/b', /MQTT-4\.7\.1-1/],
    ['a#', /MQTT-4\.7\.1-1/],
    ['a+/b', /MQTT-4\.7\.1-2/],
    ['a\0b', /MQTT-4\.7\.3-2/],
    ['x'.repeat(65_536), /MQTT-4\.7\.3-3/],
    ['$share/g/a', /shared subscription/],
  ];
  for (const [filter, clause] of refused) {
    it(`${JSON.stringify(filter.slice(0, 12))} is refused: ${clause.source}`, () => {
      assert.match(topicFilterProblem(filter) ?? '', clause);
    });
  }

  it('wildcards are for filters, not for topics or groups', () => {
    assert.match(topicNameProblem('a/+') ?? '', /MQTT-3\.3\.2-2/);
    assert.match(shareNameProblem('a/b') ?? '', /MQTT-4\.8\.2-2/);
    assert.equal(topicNameProblem('a/b'), undefined);
    assert.equal(topicFilterProblem('a/+/#'), undefined);
  });
});

function matchesByRegex(filter: string, topic: string): boolean {
  if (topic.startsWith('$') && /^[+#]/.test(filter)) return false;
  const escaped = filter.replace(/[$.]/g, '\\$&').replaceAll('+', '[^/]*');
  const pattern = escaped === '#' ? '.*' : escaped.endsWith('/#') ? `${escaped.slice(0, -2)}(/.*)?` : escaped;
  return new RegExp(`^${pattern}$`).test(topic);
}
