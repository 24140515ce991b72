import type { Instance } from '@sluice/node-red/instance';
import type RED from 'node-red';
import { healthOf } from './health.js';
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
  httpAdmin.get('/sluice/health', reader, (_request, response) => {
    const health = healthOf(instance, load.read().loopDelayMs);
    response.status(health.healthy ? 200 : 503).json(health);
  });
}
