import type { NodeContext } from '../../nodes/adapter/define-node.js';
import { config, type Config } from '../../nodes/fan-out-router/config.js';
import { FanOutRouter } from '../../nodes/fan-out-router/router.js';
import { Counters } from '../../nodes/lib/counters.js';
import { compileSettings } from '../../nodes/lib/settings.js';
import type { Part, Work } from './part.js';

const TOPICS = 100;

/** One rule a site, of which a message is for one. */
function router(rules: number): Work {
  const settings = {
    outputs: rules + 2,
    rules: Array.from({ length: rules }, (_none, site) => ({
      name: `site ${site}`,
      enabled: true,
      match: 'all',
      conditions: [],
      topic: `plant/${site}/+/temperature`,
    })),
  };
  const none = (): undefined => undefined;
  const node = new FanOutRouter({
    config: compileSettings<Config>(config).resolve(settings, none),
    counters: new Counters(),
    status: none,
    closing: new AbortController().signal,
  } as unknown as NodeContext<Config, unknown>);
  const messages = Array.from({ length: TOPICS }, (_none, index) => ({
    topic: `plant/${index % rules}/machine-${index}/temperature`,
    payload: { value: index },
  }));
  return (times) => {
    let sent = 0;
    const send = (): void => {
      sent++;
    };
    for (let index = 0; index < times; index++) void node.input(messages[index % TOPICS] ?? {}, send);
    if (sent !== times) throw new Error('expected every message to be routed');
  };
}

export const routerPart: Part = {
  name: 'router',
  times: 300_000,
  ways: { '1 rule': router(1), '10 rules': router(10), '100 rules': router(100) },
  goals: (us) => [
    {
      name: 'router, 100 rules to 1 (100 × would be linear), CPU',
      got: us('100 rules') / us('1 rule'),
      wants: 'at most',
      limit: 10,
      unit: ' ×',
    },
  ],
};
