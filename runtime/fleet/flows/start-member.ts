import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import RED from 'node-red';
import type { FleetOptions } from '../../launcher/instance-protocol.js';
import { UserError } from '../../launcher/user-error.js';
import { EDITOR_SLOT } from '../identity.js';
import { Announcements } from './announcements.js';
import { FleetBus } from './bus.js';
import { EditorFlows } from './editor-flows.js';
import { Follower } from './follower.js';
import { History } from './history.js';
import type { FleetMember, FlowState, StartFleetMember } from './member.js';
import { memoryStorage } from './memory-storage.js';
import { runEditorTabsOnly } from './node-red-internals.js';
import { nameOf, type FlowEntry } from './document.js';
import { linksAcross } from './placement.js';
import { Publisher } from './publisher.js';
import { Refusals } from './refusals.js';
import { DistributedVariables } from './variables.js';
import { WorkerFlows } from './worker-flows.js';

const LAST_GOOD_FILE = 'fleet.flow';
const HISTORY_FOLDER = 'fleet-history';
/** How long the start waits for the broker. */
const FIRST_LIMIT_MS = 3_000;
/** How long a rollback is waited for while the broker is away. */
const ROLLBACK_LIMIT_MS = 10_000;

export const startFleetMember: StartFleetMember = (options, userDir) => {
  mkdirSync(userDir, { recursive: true });
  const bus = new FleetBus(options);
  const refusals = new Refusals(warn);
  return options.slot === EDITOR_SLOT ? editor(bus, refusals, userDir) : worker(bus, refusals, userDir, options);
};

function editor(bus: FleetBus, refusals: Refusals, userDir: string): FleetMember {
  runEditorTabsOnly();
  const history = new History(join(userDir, HISTORY_FOLDER), bus.keys);
  const announcements = new Announcements();
  const publisher: Publisher = new Publisher({
    ...{ bus, history, refusals, info, warn },
    onRunning: (running) => announcements.heard(running, publisher.state().revision),
  });
  let published: Promise<number> | undefined;
  const flows = new EditorFlows((deployment) => {
    warnOfLinks(deployment.document.flows);
    published = publisher.deployed(deployment);
  });
  const state = (): FlowState => withConnection(bus, { ...publisher.state(), refused: refusals.counts() });
  return {
    settings: { httpAdminMiddleware: flows.middleware },
    run: async () => {
      for (const sentence of history.damages) warn(sentence);
      bus.open();
      await Promise.race([published, delay(FIRST_LIMIT_MS, undefined, { ref: false })]);
      return state().problem;
    },
    will: (topic, body) => bus.will(topic, body),
    publish: (topic, body, { retain = false } = {}) => bus.publish(topic, body, retain),
    flowState: state,
    history: () => history.list(),
    rollback: async (revision, author) => {
      const document = history.document(revision);
      if (document === undefined) {
        throw new UserError(`expected one of the last 50 revisions (sluice fleet history), got ${revision}`);
      }
      const failure = await flows.deploy(document, author, revision);
      if (failure !== undefined) throw new UserError(`revision ${revision} does not start in the editor: ${failure}`);
      const number = await Promise.race([published, delay(ROLLBACK_LIMIT_MS, undefined, { ref: false })]);
      if (number !== undefined) return number;
      throw new UserError(
        `the editor has the flows of revision ${revision}, and the workers get them when the broker is back: ${state().problem ?? ''}`,
      );
    },
    pause: () => publisher.pause(),
    stop: async () => {
      announcements.stop();
      publisher.pause();
      await bus.stop();
    },
  };
}

function worker(bus: FleetBus, refusals: Refusals, userDir: string, options: FleetOptions): FleetMember {
  const isRemote = options.remote === true;
  // The address that it has joined by is the fleet's, seen from here.
  if (isRemote) process.env['MQTT_URL'] ??= options.brokerUrl;
  const flows = new WorkerFlows(new DistributedVariables(process.env), isRemote);
  const file = join(userDir, LAST_GOOD_FILE);
  const follower = new Follower({ ...{ bus, flows, refusals, info, warn, file }, slot: options.slot });
  const state = (): FlowState => withConnection(bus, { ...follower.state(), refused: refusals.counts() });
  return {
    settings: { storageModule: memoryStorage(userDir) },
    run: async () => {
      await follower.start();
      return state().problem ?? (state().revision === 0 ? 'no flows have been deployed to the fleet yet' : undefined);
    },
    will: (topic, body) => bus.will(topic, body),
    publish: (topic, body, { retain = false } = {}) => bus.publish(topic, body, retain),
    flowState: state,
    history: () => [],
    rollback: () => Promise.reject(new UserError('expected the editor instance, which has the history, got a worker')),
    pause: () => follower.pause(),
    stop: async () => {
      follower.pause();
      await bus.stop();
    },
  };
}

function warnOfLinks(flows: readonly FlowEntry[]): void {
  for (const { from, to } of linksAcross(flows)) {
    warn(
      `nothing passes from link "${nameOf(from)}" to "${nameOf(to)}": ` +
        'the tab of one runs on the editor instance only, that of the other on the workers',
    );
  }
}

/** What cannot be heard comes first: the rest is from before. */
function withConnection(bus: FleetBus, state: FlowState): FlowState {
  const { problem } = bus;
  return problem === undefined ? state : { ...state, problem };
}

function info(sentence: string): void {
  RED.log.info(sentence);
}

function warn(sentence: string): void {
  RED.log.warn(sentence);
}
