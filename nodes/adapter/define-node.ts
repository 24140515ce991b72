import { setImmediate as turn } from 'node:timers/promises';
import type { Static, TSchema } from 'typebox';
import { Counters } from '../lib/counters.js';
import { DeadLetters, type Origin } from '../lib/dead-letter.js';
import { ConfigError, messageOf, type RejectedError } from '../lib/errors.js';
import { branchesOf } from '../lib/delivery/carried.js';
import type { DeliveryTag, Ending, LateOutcome, Outcome } from '../lib/delivery/outcome.js';
import type { JsonataEngine } from '../lib/jsonata.js';
import type { Message } from '../lib/message.js';
import { compileSettings, type SettingsSchema } from '../lib/settings.js';
import type { Counts } from '../lib/spool/record.js';
import { configNodeError } from './config-node.js';
import type { SourceDeliveries } from './deliveries.js';
import { type Fleet, fleetOf } from './fleet.js';
import { Instance, type RunningNode } from './instance.js';
import { logLine } from './log-line.js';
import { migrate } from './migrate.js';
import { NodeInput, slotsOf } from './node-input.js';
import { partOf, setPart } from './part.js';
import { jsonataOf, projectFolder, type NodeDefinitionInFlow, type Red, type RedNode } from './red.js';
import { Refusals } from './refusals.js';
import { StatusLine, type StatusLevel, type StatusText } from './status.js';

/** Sends one message to one or several outputs. Several at once, because Node-RED then copies it for all but the first. */
export type Send = (message: Message, ...outputs: number[]) => void;

/** A constant sentence, and the fields that vary. */
export type Log = (
  level: 'info' | 'warn' | 'error',
  sentence: string,
  fields?: Readonly<Record<string, unknown>>,
) => void;

/** Whether the flow has a node with this id that could not be made: its settings are wrong. */
export type IsFailed = (id: string) => boolean;

/** What a node does, without Node-RED. All of it is optional: a schema only has to be there. */
export type Behaviour = object & BehaviourParts;

interface BehaviourParts {
  /**
   * Takes one message. Returning, or resolving, says that the node is done with it. A sink says with it what became of
   * the message; for a node that passes messages on there is nothing to say.
   *
   * @throws RejectedError when this message will never be taken: it leaves by the rejected output, where that is wired
   * @throws anything else: the message has failed. It goes to the dead letters that the node names (not for an
   *   UnavailableError, which says nothing against the message); where it names none, Catch nodes see it
   */
  input?(message: Message, send: Send): Outcome | Ending | void | Promise<Outcome | Ending | void>;
  /** Where a source stands in the order of starting and draining. */
  readonly stage?: 'device' | 'ingest';
  /** Begins. Called once the flows have started; for a device, once all ingests are `ready`. */
  start?(): void;
  /** Called after each deploy, also of other nodes, when all are made and have been started. */
  deployed?(isFailed: IsFailed): void;
  /** For an ingest: resolves when the broker has granted its subscriptions. */
  ready?(): Promise<void>;
  /** Takes in or makes nothing more; resolves when that is so. Called before `close`, or long before it by a drain. */
  stop?(): Promise<void>;
  /** Stores or hands back what it holds and lets go of everything. Resolves within 14 s. */
  close?(): Promise<void>;
  /**
   * For what is subscribed at a broker: asks to be sent nothing more. What the broker has for this client still comes, and is
   * taken. Resolves when all that it had sent before it answered has arrived. It may be called again.
   *
   * @throws UnavailableError
   */
  withdraw?(): Promise<void>;
  /**
   * For what has a session at a broker, when its instance is not to come back: ends it. What the broker has for it is then
   * gone, so not while there is something. It may be called again.
   *
   * @throws UnavailableError when it cannot be ended now
   */
  endSession?(): Promise<void>;
  /** What is on this machine's disk; undefined where nothing is known of it. */
  onDisk?(): Counts | undefined;
  /** How many records are on this machine's disk, or on their way there; undefined as long as nobody can tell. */
  spooled?(): number | undefined;
  /** Stores what is on disk now, though it could wait for more. */
  flush?(): void;
  /** What the node's button and `POST /sluice/node/:id/:action` can ask for. @throws ConfigError for an unknown action */
  action?(name: string, body: unknown): unknown;
  /** What `GET /sluice/node/:id/:view` shows. @throws ConfigError for an unknown view, or a wrong query */
  view?(name: string, query: Readonly<Record<string, unknown>>): unknown;
}

/** What a node sees of the world. */
export interface NodeContext<Config, Credentials> {
  readonly id: string;
  readonly type: string;
  /** The node's name, else its type. */
  readonly name: string;
  /** The tab or subflow that the node is on; for a config node, the one that it belongs to, if any. */
  readonly flow: { readonly id: string; readonly name: string };
  /** Checked, complete, with variables put in. */
  readonly config: Config;
  readonly credentials: Credentials;
  /** The name of the instance. */
  readonly instance: string;
  /** Which instance of which fleet it is, where it is in one. */
  readonly fleet: Fleet | undefined;
  /** New at each start of the process. */
  readonly runId: string;
  /** Node-RED's user folder. */
  readonly userDir: string | undefined;
  /** What a dead letter says of where it comes from, for this node as the one that failed. */
  origin(): Origin;
  readonly counters: Counters;
  /** Aborted when the node begins to close. */
  readonly closing: AbortSignal;
  /** The folder of the active project, where projects are on, else the user folder: where a flow's files are. */
  readonly projectFolder: string | undefined;
  /** Makes a JSONata expression with Node-RED's functions for it. @throws what JSONata says of it */
  readonly jsonata: JsonataEngine;
  /**
   * Sends a message that this node is the source of: of a delivery that it has begun, else as one that nobody waits for
   * the answer of.
   */
  readonly send: Send;
  /** What comes in by this node, where it is a source. */
  readonly deliveries: SourceDeliveries;
  /**
   * Says of a message that this node is the source of that it will never be taken: it is counted and leaves by the
   * rejected output; where that is not wired it goes to the node's dead letters, or those of the user folder. It closes the
   * branch that the delivery was begun with.
   *
   * @returns what has become of it, when that is durable
   */
  readonly reject: (message: Message, error: RejectedError) => Promise<'dead-lettered' | 'dropped'>;
  /** Says of a delivery that an earlier run has left so many records of it in the spool; `drained` is called for each. */
  readonly foundSpooled: (delivery: DeliveryTag & { readonly records: number }) => void;
  /** Says what became of a message of which `input` said `spooled`, once it has left the spool. */
  readonly drained: (delivery: DeliveryTag, outcome: LateOutcome) => void;
  readonly status: (level: StatusLevel, text: StatusText) => void;
  readonly log: Log;
  /**
   * The behaviour of a config node, which stays open until this node has closed.
   *
   * @throws ConfigError when there is no such node, or its own settings are wrong
   */
  use<B extends Behaviour>(id: string, kind: BehaviourClass<B>, path: string): B;
  /** Whether anything is wired to an output. */
  isWired(output: number): boolean;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- any constructor will do: the class serves as a type test
export type BehaviourClass<B extends Behaviour> = (abstract new (...parameters: any[]) => B) & {
  readonly nodeType: string;
};

/** What a check of settings sees of the world. */
export type CheckPorts = Pick<NodeContext<unknown, unknown>, 'jsonata' | 'projectFolder'>;

/** A module of Node-RED, and what it was made of. */
export type NodeModule = ((red: Red) => void) & { readonly specification: CheckedSpecification };

/** What of a node is known without a runtime. */
export type CheckedSpecification = Pick<
  NodeSpecification<TSchema, TSchema>,
  'type' | 'config' | 'credentials' | 'migrations' | 'checks'
>;

export interface NodeSpecification<C extends TSchema, K extends TSchema> {
  readonly type: string;
  /** A TypeBox object; the compiled palette carries it as plain JSON Schema. */
  readonly config: C;
  readonly credentials?: K;
  /** The output for what the node rejects. Where there is none, or nothing is wired to it, a rejected message has failed. */
  readonly rejectedOutput?: number | ((config: Static<C>) => number);
  /** From the form of version n + 1 to that of n + 2, for n = the index. */
  readonly migrations?: readonly ((config: Record<string, unknown>) => Record<string, unknown>)[];
  /**
   * What can be wrong with settings that fit their schema: each of these throws a ConfigError, by the same code as in
   * `create`. Pure: for `sluice check`, which has neither credentials nor a network.
   */
  checks(config: Static<C>, ports: CheckPorts): readonly (() => unknown)[];
  /** Makes the behaviour at once: what takes time (a connection) goes on behind it. @throws ConfigError */
  create(context: NodeContext<Static<C>, Static<K>>): Behaviour;
}

/** Node-RED cuts a node off 15 s after it began to close (`nodeCloseTimeout`). */
const CLOSE_LIMIT_MS = 14_000;

/**
 * Makes a Node-RED node of a schema and a behaviour. Owned here, once for all nodes: versions, variables, defaults, the
 * check of settings, the input handler, done exactly once, the rejected output, status, counters, and closing.
 */
export function defineNode<C extends TSchema, K extends TSchema>(specification: NodeSpecification<C, K>): NodeModule {
  const { type } = specification;
  const settings = compileSettings<Static<C>>(specification.config);
  const secrets = compileSettings<Static<K>>(specification.credentials ?? { properties: {} });
  const credentialFields = (specification.credentials as SettingsSchema | undefined)?.properties ?? {};

  const load = (red: Red): void => {
    const instance = Instance.of(red);
    instance.types.add(type);
    red.nodes.registerType(
      type,
      function (this: RedNode, definition) {
        red.nodes.createNode(this, definition);
        construct(this, definition);
      },
      {
        credentials: Object.fromEntries(
          Object.entries(credentialFields).map(([name, field]) => [
            name,
            { type: (field as { ui?: { secret?: boolean } }).ui?.secret === false ? 'text' : 'password' },
          ]),
        ),
      },
    );

    function construct(node: RedNode, definition: NodeDefinitionInFlow): void {
      const status = new StatusLine(node);
      const counters = new Counters();
      const closing = new AbortController();
      const closed = Promise.withResolvers<void>();
      const users = new Set<Promise<void>>();
      const name = node.name !== undefined && node.name !== '' ? node.name : type;
      let behaviour: Behaviour | undefined;
      let problem: ConfigError | undefined;

      const log: Log = (level, sentence, fields = {}) => {
        const text = logLine(sentence, fields);
        if (level === 'info') node.log(text);
        else node[level](text);
      };

      const use: NodeContext<unknown, unknown>['use'] = (id, kind, path) => {
        const part = partOf(red.nodes.getNode(id));
        if (part?.behaviour instanceof kind) {
          part.users.add(closed.promise);
          void closed.promise.then(() => part.users.delete(closed.promise));
          return part.behaviour;
        }
        const got =
          id === '' ? 'nothing' : part === undefined ? 'none with this id' : 'one whose own settings are wrong';
        throw configNodeError(kind.nodeType, path, got);
      };

      const origin = (): Origin => instance.originOf(node);

      const { deliveries } = instance;
      const sender = { node, type, closing: closing.signal, origin };
      const emit = (slots: (Message | null)[]): void => node.send(slots);
      const sendOwn: Send = (message, ...outputs) => {
        const branches = branchesOf(message);
        if (branches === undefined) deliveries.sendOwn(sender, message, slotsOf(message, outputs));
        else deliveries.send(sender, branches, slotsOf(message, outputs), emit);
      };
      const refusalPorts = { red, node, counters, log, origin };
      let refusals = new Refusals(refusalPorts, {});

      try {
        const lookup = (variable: string): unknown => red.util.getSetting(node, variable);
        const config = settings.resolve(migrate(definition, specification), lookup);
        const { rejectedOutput } = specification;
        const { deadLetters: queue = '', timeLimit } = config as { deadLetters?: string; timeLimit?: number };
        const letters = queue === '' ? undefined : use(queue, DeadLetters, '/deadLetters');
        refusals = new Refusals(refusalPorts, {
          rejectedOutput: typeof rejectedOutput === 'function' ? rejectedOutput(config) : rejectedOutput,
          deadLetters: letters,
        });
        const flow = { id: textOf(lookup('NR_FLOW_ID')), name: textOf(lookup('NR_FLOW_NAME')) };
        deliveries.configure(node.id, {
          flow,
          letters,
          limitMs: timeLimit === undefined ? undefined : timeLimit * 1_000,
        });
        behaviour = specification.create({
          id: node.id,
          type,
          name,
          flow,
          config,
          credentials: secrets.resolve(node.credentials ?? {}, lookup),
          instance: instance.name,
          fleet: fleetOf(process.env),
          runId: instance.runId,
          userDir: red.settings.userDir,
          origin,
          counters,
          closing: closing.signal,
          projectFolder: projectFolder(red),
          jsonata: jsonataOf(red, node),
          send: sendOwn,
          deliveries: instance.deliveries.of(node.id),
          reject: (message, error) => rejectOwn(message, error),
          foundSpooled: (delivery) => deliveries.foundSpooled(node.id, delivery),
          drained: (tag, outcome) => deliveries.ledger(tag.source).drained(tag.number, outcome, type),
          status: (level, text) => {
            if (!closing.signal.aborted) status.set(level, text);
          },
          log,
          use,
          isWired: (output) => (node.wires[output]?.length ?? 0) > 0,
        });
      } catch (error) {
        problem =
          error instanceof ConfigError ? error : new ConfigError(messageOf(error), { code: 'create', cause: error });
        status.set('error', problem.message);
        node.error(`${type} "${name}" ${problem.message}`);
      }

      const rejectOwn = (message: Message, error: RejectedError): Promise<'dead-lettered' | 'dropped'> =>
        new Promise((resolve) => {
          const branches = branchesOf(message);
          refusals.giveUp(message, error, sendOwn, ({ buried, failure }) => {
            const report = (): void => node.error(failure ?? error, message);
            if (failure === undefined) {
              branches?.close(type, buried === undefined ? undefined : 'dead-lettered', buried);
            } else if (branches !== undefined) {
              deliveries.fail(sender, branches, message, failure, report);
            } else if (!deliveries.tracking.reporting(node.id, report)) {
              // What has left a spool belongs to nothing any more.
              void deliveries.bury(node.id, { message, error: failure, origin: origin() }).then((outcome) => {
                counters.add(outcome, 1, error.code);
                resolve(outcome);
              });
              return;
            }
            resolve('dead-lettered');
          });
        });
      const input = new NodeInput({ ...sender, counters, log, deliveries, refusals, behaviour, problem });

      setPart(node, { behaviour, users });
      // Also one whose settings are wrong: what it fails is counted where somebody sees it.
      const running: RunningNode = {
        id: node.id,
        type,
        name,
        behaviour: behaviour ?? {},
        failed: behaviour === undefined,
        counters,
        status,
        closing: closing.signal,
        open: () => input.open,
        input,
      };
      instance.nodes.set(node.id, running);
      void closed.promise.then(() => instance.remove(running));

      // Three parameters, so that Node-RED waits for `done`.
      node.on('input', (message, emitAnswer, done) => input.receive(message, emitAnswer, done));

      node.on('close', (_removed, done) => {
        closing.abort();
        const limit = Promise.withResolvers<'late'>();
        const timer = setTimeout(() => limit.resolve('late'), CLOSE_LIMIT_MS);
        void Promise.race([shutDown(), limit.promise])
          .then((outcome) => {
            if (outcome === 'late') log('error', 'closed before it was done', { open: input.open });
          })
          .catch((error: unknown) => log('error', 'could not close cleanly', { error: messageOf(error) }))
          .finally(() => {
            clearTimeout(timer);
            status.close();
            closed.resolve();
            done();
          });
      });

      async function shutDown(): Promise<void> {
        try {
          await behaviour?.stop?.();
          // A config node's client goes only after the nodes that use it have finished with it.
          await Promise.all(users);
          // What was on its way to this node when it left the flow arrives within a turn.
          await turn();
        } finally {
          await behaviour?.close?.();
        }
      }
    }
  };
  return Object.assign(load, { specification });
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
