import { describeValue, messageOf } from './errors.js';
import { objectStoreUrlProblem } from './object-store-url.js';
import { compilePath, compileTemplate } from './template.js';
import { shareNameProblem, topicFilterProblem, topicNameProblem } from './topic.js';

const MQTT_SCHEMES = ['mqtt:', 'mqtts:', 'ws:', 'wss:'];

export type Formats = Readonly<Record<string, (text: string) => string | undefined>>;

/**
 * What the names mean that settings use as `format`. Each gives what is wrong as `expected …, got …`, or undefined.
 * The editor's forms use the same.
 */
export const FORMATS: Formats = {
  'topic-filter': topicFilterProblem,
  'topic-name': topicNameProblem,
  'share-name': shareNameProblem,
  'topic-template': topicTemplateProblem,
  template: (text) => problemOf(() => compileTemplate(text)),
  path: (text) => problemOf(() => compilePath(text)),
  json: (text) => {
    const problem = problemOf(() => JSON.parse(text) as unknown);
    return problem === undefined ? undefined : `expected JSON, got ${describeValue(text)}: ${problem}`;
  },
  // JSONata comes with Node-RED: the node that has an expression compiles it, and the form asks the editor's own.
  jsonata: () => undefined,
  'mqtt-url': mqttUrlProblem,
  'object-store-url': objectStoreUrlProblem,
};

function problemOf(compile: () => unknown): string | undefined {
  try {
    compile();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** What is wrong with a template for a topic, whatever its fields hold. */
function topicTemplateProblem(text: string): string | undefined {
  const filled = text.replace(/\{[^{}]*\}/g, 'x');
  return (
    problemOf(() => compileTemplate(text)) ??
    topicNameProblem(filled)?.replace(JSON.stringify(filled), () => JSON.stringify(text))
  );
}

/** What is wrong with a broker's URL; a password in it is not repeated. */
export function mqttUrlProblem(text: string): string | undefined {
  const expected = 'expected mqtt://, mqtts://, ws:// or wss:// and a host';
  // What stands before the last @ may be a password, whatever else is wrong with it.
  if (!URL.canParse(text)) return `${expected}, got ${JSON.stringify(text.replace(/^([a-z]+:\/\/)?.*@/is, '$1***@'))}`;
  const url = new URL(text);
  if (!MQTT_SCHEMES.includes(url.protocol) || url.hostname === '') {
    return `${expected}, got ${url.protocol}//${url.host}`;
  }
  const encoded = 'expected user and password of the URL to be percent-encoded';
  if ((url.pathname + url.search + url.hash).includes('@')) return `${encoded}, got an @ after the host`;
  try {
    decodeURIComponent(url.username + url.password);
  } catch {
    return `${encoded}, got a % that stands for itself`;
  }
  return undefined;
}
