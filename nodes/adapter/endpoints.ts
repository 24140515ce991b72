import { messageOf, UnavailableError } from '../lib/errors.js';
import { Instance } from './instance.js';
import { letterQuery, replayRequest } from './letter-requests.js';
import type { AdminHandler, AdminResponse, Red } from './red.js';

/** What the palette adds to the runtime beside its nodes: the admin endpoints, a word on what removed nodes have left. */
export function plugin(red: Red): void {
  const instance = Instance.of(red);
  red.plugins.registerPlugin('sluice', { type: 'sluice' });
  red.events.on('flows:started', () => void instance.leftSpools.report());

  red.httpAdmin.get('/sluice/status', red.auth.needsPermission('sluice.read'), (_request, response) => {
    response.json(instance.report());
  });

  red.httpAdmin.get('/sluice/ledger', red.auth.needsPermission('sluice.read'), (_request, response) => {
    response.json({ ...instance.ledger(), nodes: instance.totals() });
  });

  letterEndpoints(red, instance);

  red.httpAdmin.get(
    '/sluice/node/:id/:view',
    red.auth.needsPermission('sluice.read'),
    ({ params, query }, response) => {
      const { id = '', view = '' } = params;
      const node = instance.nodes.get(id);
      if (node?.behaviour.view === undefined) {
        response.status(404).json({ message: `expected a deployed node with something to show, got ${id}` });
        return;
      }
      void answer(response, () => node.behaviour.view?.(view, query));
    },
  );

  red.httpAdmin.post(
    '/sluice/node/:id/:action',
    red.auth.needsPermission('sluice.write'),
    jsonOnly,
    ({ params, body }, response) => {
      const { id = '', action = '' } = params;
      const node = instance.nodes.get(id);
      if (node?.behaviour.action === undefined) {
        response
          .status(404)
          .json({ message: `expected a deployed node with actions, got ${id}: deploy the flow first` });
        return;
      }
      void answer(response, () => node.behaviour.action?.(action, body));
    },
  );
}

function letterEndpoints({ httpAdmin, auth }: Red, { replay }: Instance): void {
  httpAdmin.get('/sluice/dead-letters', auth.needsPermission('sluice.read'), ({ query }, response) => {
    void answer(response, async () => {
      const { filter, count } = letterQuery(query);
      return { letters: await replay.find(filter, count) };
    });
  });
  httpAdmin.post(
    '/sluice/dead-letters/replay',
    auth.needsPermission('sluice.write'),
    jsonOnly,
    ({ body }, response) => {
      void answer(response, () => {
        const { ids, payloads } = replayRequest(body);
        return replay.replay(ids, payloads);
      });
    },
  );
}

async function answer(response: AdminResponse, ask: () => unknown): Promise<void> {
  try {
    response.json((await ask()) ?? {});
  } catch (error) {
    response.status(error instanceof UnavailableError ? 503 : 400).json({ message: messageOf(error) });
  }
}

/** A form on another page can post to a local address, but not as JSON without being asked first (CORS). */
const jsonOnly: AdminHandler = (request, response, next) => {
  if (request.headers['content-type']?.startsWith('application/json') === true) next();
  else response.status(415).json({ message: 'expected application/json' });
};
