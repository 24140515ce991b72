import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Address } from './tcp-proxy.js';
import type { FlowNode } from './flow.js';

/** Where nodes of the flow put what they take: what the run reads back. */
export type Place =
  | { readonly kind: 'documents'; readonly collection: string; readonly nodes: readonly string[] }
  | { readonly kind: 'objects'; readonly name: string; readonly url: string; readonly nodes: readonly string[] }
  | { readonly kind: 'published'; readonly filter: string; readonly nodes: readonly string[] }
  | { readonly kind: 'lines'; readonly name: string; readonly file: string; readonly nodes: readonly string[] };

/** What a flow is to work with in one phase of a run. */
export interface Surroundings {
  readonly qos: 0 | 1 | 2;
  readonly broker: Address;
  /** Its own; files and, where no bucket is given, objects are below it. */
  readonly folder: string;
  /** `s3://…`; undefined: objects are files. */
  readonly bucket: string | undefined;
  /** Of other nodes than the palette's, which are not looked for in the flow. */
  readonly collections: readonly string[];
}

export interface PlacedFlow {
  readonly nodes: readonly FlowNode[];
  readonly places: readonly Place[];
  /** Collections that keep dead letters. */
  readonly deadLetters: readonly string[];
  /** What is not read back, and why. */
  readonly notes: readonly string[];
}

/** The flow with its servers, folders and QoS replaced by those of a phase, and where it will store. */
export function placeFlow(nodes: readonly FlowNode[], around: Surroundings): PlacedFlow {
  const made: FlowNode[] = [];
  const places = new Map<string, Place>();
  const deadLetters = new Set<string>();
  const notes: string[] = [];
  const place = (key: string, found: Place): void => {
    const before = places.get(key);
    places.set(key, before === undefined ? found : { ...found, nodes: [...before.nodes, ...found.nodes] });
  };
  const rewrite = (node: FlowNode): FlowNode => {
    const { id, type } = node;
    const name = text(node['name']) || id;
    switch (type) {
      case 'sluice-mqtt-broker':
        return { ...node, url: '${MQTT_URL}' };
      case 'mqtt-broker':
        return { ...node, broker: around.broker.host, port: String(around.broker.port), usetls: false };
      case 'mqtt-ingest':
      case 'mqtt in':
        return { ...node, qos: type === 'mqtt in' ? String(around.qos) : around.qos };
      case 'mongo-connection':
        return { ...node, uri: '${MONGODB_URI}', database: '' };
      case 'dead-letter-queue':
        if (node['place'] === 'mongodb') deadLetters.add(text(node['collection']) || 'dead_letters');
        return { ...node, folder: '' };
      case 'mongo-sink': {
        const collection = text(node['collection']);
        if ((node['operation'] ?? 'insert') === 'insert')
          place(collection, { kind: 'documents', collection, nodes: [id] });
        else notes.push(`not read back: ${name} keeps no document for each message (${String(node['operation'])})`);
        return node;
      }
      case 's3-sink': {
        const store = nodes.find((other) => other.id === node['store']);
        const own = `${id}-chaos-store`;
        const url = objectsUrl(around, id);
        if (store === undefined) return node;
        made.push({ ...store, id: own, url });
        place(id, { kind: 'objects', name, url, nodes: [id] });
        return { ...node, store: own };
      }
      case 'mqtt-publish':
      case 'mqtt out': {
        const topic = text(node['topic']);
        if (topic === '') notes.push(`not read back: ${name} publishes to the topics of its messages`);
        else place(`mqtt ${topic}`, { kind: 'published', filter: filterOf(topic), nodes: [id] });
        return node;
      }
      case 'file': {
        const file = join(around.folder, 'files', `${id}.ndjson`);
        place(id, { kind: 'lines', name, file, nodes: [id] });
        return { ...node, filename: file, filenameType: 'str', createDir: true };
      }
      default:
        return node;
    }
  };
  const placed = nodes.map((node) => (node['d'] === true ? node : rewrite(node)));
  for (const collection of around.collections) place(collection, { kind: 'documents', collection, nodes: [] });
  return { nodes: [...placed, ...made], places: [...places.values()], deadLetters: [...deadLetters], notes };
}

/** What a report calls it. */
export function placeName(place: Place): string {
  switch (place.kind) {
    case 'documents':
      return `documents ${place.collection}`;
    case 'objects':
      return `objects "${place.name}"`;
    case 'published':
      return `published ${place.filter}`;
    case 'lines':
      return `file "${place.name}"`;
  }
}

/** Matches the names of the collections that a template makes. */
export function collectionPattern(template: string): RegExp {
  const parts = template.split(/\{[^{}]*\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.+')}$`);
}

/** The filter for the topics that a template makes. */
function filterOf(template: string): string {
  return template
    .split('/')
    .map((level) => (level.includes('{') ? '+' : level))
    .join('/');
}

function objectsUrl({ bucket, folder }: Surroundings, id: string): string {
  if (bucket === undefined) return pathToFileURL(join(folder, 'objects', id)).href;
  const url = new URL(bucket);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${id}/`;
  return url.href;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
