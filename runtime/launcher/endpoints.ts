import type { Instance } from '@sluice/node-red/instance';
import type RED from 'node-red';
import { healthOf, type Health } from './health.js';
import { metricsOf } from './metrics.js';
import { ProcessLoad } from './process-load.js';

/** What the launcher adds to an instance's admin API, beside the palette's own. */
export function addEndpoints({ httpAdmin, auth }: typeof RED, instance: Instance): void {
  const metrics = metricsOf(instance);
  const load = new ProcessLoad();
  const reader = auth.needsPermission('sluice.read');
  httpAdmin.get('/sluice/metrics', reader, (_request, response, next) => {
    metrics.text().then((text) => response.type(metrics.contentType).send(text), next);
  });
  const health = (): Health => healthOf(instance.report(), load.read().loopDelayMs);
  httpAdmin.get('/sluice/health', reader, (_request, response) => {
    const found = health();
    response.status(found.healthy ? 200 : 503).json(found);
  });
  // For whoever supervises containers, who has no token: that it answers, and that all of it works. Neither says more.
  httpAdmin.get('/sluice/live', (_request, response) => response.status(204).end());
  httpAdmin.get('/sluice/ready', (_request, response) => response.status(health().healthy ? 204 : 503).end());
}
