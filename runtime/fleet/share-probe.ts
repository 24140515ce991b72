import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt';
import { messageOf, UserError } from '../launcher/user-error.js';

const USE = 'use mosquitto (1.6 or newer), HiveMQ CE, EMQX, VerneMQ or NanoMQ';
const PROBES = 4;
/** After what both members get has come: a broker may queue what is shared apart. */
const GRACE_MS = 2_000;

export interface ShareProbeOptions {
  /** For the connection: TLS; user and password where they do not stand in the URL. */
  readonly connection?: Pick<IClientOptions, 'username' | 'password' | 'ca' | 'cert' | 'key' | 'rejectUnauthorized'>;
  /** In milliseconds. */
  readonly timeoutMs?: number;
}

/**
 * Finds out by real messages whether a broker divides them among the members of a shared subscription (MQTT 5.0 section
 * 4.8.2). What it says is not enough: aedes grants one and delivers nothing. Its two members have clean sessions, which end
 * with their connections.
 *
 * @throws UserError for a broker that cannot be reached, or does not share: what was seen, and what to use
 */
export async function probeSharedSubscriptions(url: string, options: ShareProbeOptions = {}): Promise<void> {
  const { timeoutMs = 10_000 } = options;
  const place = withoutLogin(url).href;
  const clients: MqttClient[] = [];
  const limit = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: limit.signal }).then(() => {
    throw new UserError(`expected an answer of the broker at ${place} within ${timeoutMs} ms, got none`);
  });
  late.catch(() => undefined); // it has ended before
  try {
    await Promise.race([late, probe(url, place, options, clients)]);
  } finally {
    limit.abort();
    await Promise.all(clients.map((client) => client.endAsync(!client.connected)));
  }
}

async function probe(url: string, place: string, options: ShareProbeOptions, clients: MqttClient[]): Promise<void> {
  const topic = `sluice/probe/${randomUUID()}`;
  const got: string[] = [];
  const ends: string[] = [];
  const changes = new EventEmitter();
  const members = await twoMembers(url, place, options, clients);
  for (const member of members) {
    member.on('message', (name, payload) => {
      (name === topic ? got : ends).push(payload.toString());
      changes.emit('change');
    });
    await member
      .subscribeAsync([`$share/sluice-probe/${topic}`, `${topic}/end`], { qos: 1 })
      .catch((error: unknown) => {
        throw refusal(place, `one that refuses them (${messageOf(error)})`);
      });
  }
  const [first] = members;
  const toBoth = async (text: string): Promise<void> => {
    await first.publishAsync(`${topic}/end`, text, { qos: 1 });
    while (ends.filter((end) => end === text).length < 2) await once(changes, 'change');
  };
  for (let number = 0; number < PROBES; number++) await first.publishAsync(topic, String(number), { qos: 1 });
  await toBoth('sent');
  const grace = AbortSignal.timeout(GRACE_MS);
  while (new Set(got).size < PROBES && !grace.aborted) {
    await once(changes, 'change', { signal: grace }).catch(() => undefined); // the time is up
  }
  await toBoth('done'); // a second copy, for the other member, is before it
  const different = new Set(got).size;
  if (different === 0) throw refusal(place, 'one that grants them and delivers nothing');
  if (different < PROBES) throw refusal(place, `one that delivered ${different} of ${PROBES} messages`);
  if (got.length > PROBES) throw refusal(place, 'one that gives a message to more than one member');
}

/** Over MQTT 5, else 3.1.1. */
async function twoMembers(
  url: string,
  place: string,
  options: ShareProbeOptions,
  clients: MqttClient[],
): Promise<readonly [MqttClient, MqttClient]> {
  const join = async (protocolVersion: 4 | 5): Promise<MqttClient> => {
    const { username, password } = new URL(url);
    const client = mqtt.connect(withoutLogin(url).href, {
      ...(username !== '' && { username: decodeURIComponent(username) }),
      ...(password !== '' && { password: decodeURIComponent(password) }),
      ...options.connection,
      protocolVersion,
      clientId: `sluice-probe-${randomUUID()}`,
      clean: true,
      reconnectPeriod: 0,
    });
    clients.push(client);
    return connected(client, place);
  };
  try {
    return [await join(5), await join(5)];
  } catch {
    return [await join(4), await join(4)]; // what is wrong with more than the version is so again
  }
}

/** @throws UserError when there is no connection */
function connected(client: MqttClient, place: string): Promise<MqttClient> {
  return new Promise((resolve, reject) => {
    let reason = 'it ended the connection';
    client.on('error', (error) => (reason = messageOf(error)));
    client.once('connect', () => resolve(client));
    client.once('close', () => reject(new UserError(`expected an MQTT broker at ${place}, got: ${reason}`)));
  });
}

function refusal(place: string, got: string): UserError {
  return new UserError(`expected a broker with shared subscriptions at ${place}, got ${got}: ${USE}`);
}

/** A URL that may be shown. */
function withoutLogin(text: string): URL {
  const url = new URL(text);
  url.username = '';
  url.password = '';
  return url;
}
