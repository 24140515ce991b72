import type { IConnackPacket, MqttClient } from 'mqtt';
import type { IsFailed, NodeContext } from '../adapter/define-node.js';
import type { Receipt } from '../lib/delivery/answers.js';
import { compileTopicFilter } from '../lib/topic.js';
import type { ConnectionState } from './connection.js';
import type { Publish } from './mqttjs.js';
import { SubscribeRequests, subscriptionIdentifier } from './subscribe-requests.js';

export interface SubscriptionRequest {
  /** The node that asks: while its successor cannot be made for a wrong setting, what comes for it is kept. */
  readonly owner?: string;
  /** Topic filters without the prefix of a shared subscription. */
  readonly filters: readonly string[];
  readonly qos: 0 | 1 | 2;
  /** The group of a shared subscription (MQTT 5.0 section 4.8.2). */
  readonly group?: string | undefined;
  /** How many messages this subscriber takes before it has answered one: its share of receiveMaximum. */
  readonly window: number;
  /**
   * A message. Those of QoS 0 come also where the window is full: they can only be dropped.
   *
   * @param answer - to be called when all that became of it is settled, also after `stop`: then it is acknowledged, after
   *   those that came before it. A second call does nothing.
   */
  receive(publish: Publish, answer: () => void): void;
  /** The connection that the messages came by is gone: what has no answer gets none, and is given again by the broker. */
  lost?(): void;
  /** Now and at every change. `ok`: the broker has granted every filter. */
  onState(state: ConnectionState): void;
}

export interface Subscription {
  /**
   * No message is received any more when it resolves. What has been received can still be answered, for as long as the
   * broker node has not closed. What arrives waits, without an answer, for the node that a deploy puts in the place of
   * this one; where the broker node closes, the session goes on collecting.
   */
  stop(): Promise<void>;
}

export interface Subscriber extends SubscriptionRequest {
  /** `new`: the deploy that makes it is not through, so that what it sends may have nowhere to go. */
  phase: 'new' | 'taking' | 'stopped';
  /** Topic filters as SUBSCRIBE carries them. */
  readonly subscriptions: readonly string[];
  readonly identifiers: readonly number[];
  readonly matches: (topic: string) => boolean;
}

/** A message that waits for the successor of a subscriber that has stopped. */
interface Kept {
  readonly publish: Publish;
  readonly receipt: Receipt;
  readonly takers: Set<Subscriber>;
  readonly answer: JointAnswer;
  /** The part of the answer that is the successor's. */
  readonly own: () => void;
}

export interface SubscriptionPorts extends Pick<NodeContext<unknown, unknown>, 'counters' | 'log'> {
  /** While it is connected. */
  client(): MqttClient | undefined;
  version(): 4 | 5;
  /** Of the connection. */
  state(): ConnectionState;
}

const SUBSCRIBING: ConnectionState = { level: 'busy', text: 'subscribing' };

/** Who takes what comes in over one connection, and what the broker is asked to send for them. */
export class Subscriptions {
  readonly #ports: SubscriptionPorts;
  readonly #subscribers = new Set<Subscriber>();
  /** How many messages that came by this connection a subscriber has not answered. */
  #open = new Map<Subscriber, number>();
  #kept: Kept[] = [];
  readonly #requests: SubscribeRequests;
  #window = 0;

  constructor(ports: SubscriptionPorts) {
    this.#ports = ports;
    this.#requests = new SubscribeRequests({ ...ports, subscribers: this.#subscribers });
  }

  /** How many messages may be open, of all subscribers together. */
  get window(): number {
    return this.#window;
  }

  /** Whether there is no subscriber, nor any that a deploy may put a successor in the place of. */
  get empty(): boolean {
    return this.#subscribers.size === 0;
  }

  add(request: SubscriptionRequest): Subscription {
    const matchers = request.filters.map(compileTopicFilter);
    const { group, filters } = request;
    const subscriptions = filters.map((filter) => (group === undefined ? filter : `$share/${group}/${filter}`));
    const subscriber: Subscriber = {
      ...request,
      phase: 'new',
      subscriptions,
      identifiers: subscriptions.map(subscriptionIdentifier),
      matches: (topic) => matchers.some((matches) => matches(topic)),
    };
    this.#subscribers.add(subscriber);
    subscriber.onState(this.#state());
    return {
      stop: () => {
        subscriber.phase = 'stopped';
        return Promise.resolve();
      },
    };
  }

  /**
   * A deploy is through: new subscribers begin, and those that have stopped and have no successor are no more.
   *
   * @returns resolves when the broker knows that
   */
  async deployed(isFailed: IsFailed): Promise<void> {
    const gone: Subscriber[] = [];
    const fresh: Subscriber[] = [];
    for (const subscriber of this.#subscribers) {
      const { phase, owner } = subscriber;
      if (phase === 'stopped' && (owner === undefined || !isFailed(owner))) {
        this.#subscribers.delete(subscriber);
        gone.push(subscriber);
      } else if (phase === 'new') {
        subscriber.phase = 'taking';
        fresh.push(subscriber);
      }
    }
    // Without any it stays: what its former subscribers have taken may still be open.
    if (!this.empty) this.#window = [...this.#subscribers].reduce((sum, { window }) => sum + window, 0);
    const wanted = new Set([...this.#subscribers].flatMap(({ subscriptions }) => subscriptions));
    this.#giveKept();
    await this.#requests.changed(
      fresh,
      gone.flatMap(({ subscriptions }) => subscriptions).filter((one) => !wanted.has(one)),
    );
  }

  /** Asks again for what is shared. */
  renew(): void {
    this.#requests.renew();
  }

  /** Asks the broker to send nothing more, for good. What it has for this session still comes, and is given. */
  async withdraw(): Promise<void> {
    await this.#requests.withdraw();
  }

  /** There is a connection: whatever the session holds, all is subscribed anew. */
  connected(client: MqttClient, connack: IConnackPacket): void {
    this.#requests.connected(client, connack);
  }

  /** The state of the connection has changed. */
  changed(): void {
    for (const subscriber of this.#subscribers) {
      if (subscriber.phase !== 'stopped') subscriber.onState(this.#state());
    }
  }

  /** The connection is gone, and with it the way to answer what came by it. */
  lost(): void {
    const open = this.#open;
    this.#open = new Map();
    const kept = this.#kept;
    this.#kept = [];
    // The others come again.
    for (const { publish, takers } of kept) if (publish.qos === 0 && takers.size === 0) this.#drop(publish);
    for (const subscriber of open.keys()) subscriber.lost?.();
  }

  /**
   * Gives a PUBLISH to its subscribers. With MQTT 5 the broker names the subscriptions that it was sent for: so filters
   * of two subscribers that overlap do not give a message twice, and what a session still sends for subscriptions of an
   * earlier flow is nobody's. Without, the topic decides.
   */
  dispatch(publish: Publish, receipt: Receipt): void {
    const answer = new JointAnswer(() => receipt.answer());
    const own = answer.part();
    const takers = new Set<Subscriber>();
    const matching = this.#matching(publish);
    this.#give(publish, matching, takers, answer);
    const keeps = publish.qos > 0 || this.#kept.length < this.#window;
    if (keeps && matching.some(isStopped)) {
      this.#kept.push({ publish, receipt, takers, answer, own });
      return;
    }
    if (takers.size === 0) this.#drop(publish);
    own();
  }

  /** What is kept is left to the session; where none outlives the connection, it is dropped. */
  leave(sessionStays: boolean): void {
    const kept = this.#kept;
    this.#kept = [];
    for (const { publish, receipt, takers } of kept) {
      if (takers.size === 0 && (publish.qos === 0 || !sessionStays)) this.#drop(publish);
      receipt.leave();
    }
  }

  #give(publish: Publish, matching: Subscriber[], takers: Set<Subscriber>, answer: JointAnswer): void {
    const open = this.#open;
    for (const taker of matching) {
      if (taker.phase !== 'taking' || takers.has(taker)) continue;
      takers.add(taker);
      open.set(taker, (open.get(taker) ?? 0) + 1);
      const part = answer.part();
      let answered = false;
      taker.receive(publish, () => {
        if (answered) return;
        answered = true;
        const left = (open.get(taker) ?? 1) - 1;
        if (left === 0) open.delete(taker);
        else open.set(taker, left);
        part();
      });
    }
  }

  #giveKept(): void {
    const kept = this.#kept;
    this.#kept = [];
    for (const one of kept) {
      const { publish, takers, answer, own } = one;
      const matching = this.#matching(publish);
      this.#give(publish, matching, takers, answer);
      if (matching.some(isStopped)) {
        this.#kept.push(one);
        continue;
      }
      if (takers.size === 0) this.#drop(publish);
      own();
    }
  }

  #matching({ topic, properties }: Publish): Subscriber[] {
    const named = properties?.subscriptionIdentifier;
    const isNamed = Array.isArray(named)
      ? (identifier: number): boolean => named.includes(identifier)
      : (identifier: number): boolean => named === identifier;
    return [...this.#subscribers].filter(({ identifiers, matches }) =>
      named === undefined ? matches(topic) : identifiers.some(isNamed),
    );
  }

  #drop({ topic }: Publish): void {
    const { counters } = this.#ports;
    counters.add('dropped', 1, 'no-subscriber');
    if (counters.total('dropped') > 1) return;
    this.#ports.log('warn', 'a message came for a subscription that this flow no longer has', { topic });
  }

  #state(): ConnectionState {
    const state = this.#ports.state();
    return state.level === 'ok' ? SUBSCRIBING : state;
  }
}

const isStopped = ({ phase }: Subscriber): boolean => phase === 'stopped';

/** An answer that is given when each of its parts is. */
class JointAnswer {
  readonly #give: () => void;
  #open = 0;

  constructor(give: () => void) {
    this.#give = give;
  }

  /** To be called once. */
  part(): () => void {
    this.#open++;
    return () => {
      if (--this.#open === 0) this.#give();
    };
  }
}
