import type { Instance } from '@sluice/node-red/instance';

/** What `GET /sluice/health` answers, with 200 or 503. */
export interface Health {
  readonly healthy: boolean;
  /** Each names what does not work, and why. */
  readonly problems: readonly string[];
}

/** Held up for longer, an instance answers nobody. */
const LOOP_DELAY_LIMIT_MS = 1_000;

/** Whether brokers, sinks and the event loop do their part: nodes that do not work until somebody acts say so. */
export function healthOf({ nodes }: ReturnType<Instance['report']>, loopDelayMs: number): Health {
  const problems = nodes
    .filter(({ level }) => level === 'error')
    .map(({ type, name, status }) => `${name === '' ? type : name}: ${status}`);
  if (loopDelayMs > LOOP_DELAY_LIMIT_MS) problems.push(`the event loop was held up for ${loopDelayMs} ms`);
  return { healthy: problems.length === 0, problems };
}
