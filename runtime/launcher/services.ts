import { mkdirSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { EmbeddedBroker } from '../embedded/broker.js';
import { DocumentStore } from './document-store.js';
import { environment } from './environment.js';
import { isTaken, takenSentence } from './ports.js';
import { withoutSecrets } from './shown-url.js';
import type { Started } from './started.js';
import type { UserFolder } from './user-folder.js';

export interface ServiceOptions {
  /** 0 means any free one, here and below. */
  readonly mqttPort: number;
  readonly mongodbPort: number;
  readonly say: (sentence: string) => void;
}

/** The servers that flows use: those of the environment, and for those that it does not name, embedded ones. */
export interface Services {
  readonly environment: Readonly<Record<'MQTT_URL' | 'MONGODB_URI' | 'S3_URL', string>>;
  /** Where they are. None of it holds a password. */
  readonly shown: { readonly mqtt: string; readonly mongodb: string; readonly objects: string };
  readonly embedded: { readonly broker: boolean; readonly store: boolean; readonly objects: boolean };
  /** Resolves with a sentence when an embedded one has ended and will not be started again. */
  readonly failed: Promise<string>;
}

/** Starts what is embedded: its data are in the user folder. */
export async function startServices(options: ServiceOptions, folder: UserFolder, started: Started): Promise<Services> {
  const { say, mongodbPort } = options;
  // The broker goes before the store, so that no sink is handed what it cannot store.
  const store =
    environment('MONGODB_URI') === undefined ? await DocumentStore.start(folder.store, mongodbPort, say) : undefined;
  if (store !== undefined) started.add(() => store.stop());
  const broker = environment('MQTT_URL') === undefined ? await startBroker(options) : undefined;
  if (broker !== undefined) started.add(() => broker.stop().then(() => true));
  const objects = environment('S3_URL');
  const addresses = {
    MQTT_URL: broker?.url ?? environment('MQTT_URL') ?? '',
    MONGODB_URI: store?.uri ?? environment('MONGODB_URI') ?? '',
    S3_URL: objects ?? objectsUrl(folder),
  };
  return {
    environment: addresses,
    shown: {
      mqtt: withoutSecrets(addresses.MQTT_URL),
      mongodb: withoutSecrets(addresses.MONGODB_URI),
      objects: objects === undefined ? folder.objects : withoutSecrets(objects),
    },
    embedded: { broker: broker !== undefined, store: store !== undefined, objects: objects === undefined },
    failed: store?.failed ?? new Promise(() => undefined),
  };
}

async function startBroker({ mqttPort, say }: ServiceOptions): Promise<EmbeddedBroker> {
  try {
    return await EmbeddedBroker.start(mqttPort);
  } catch (error) {
    if (!isTaken(error) || mqttPort === 0) throw error;
    say(takenSentence('the embedded broker', mqttPort));
    return EmbeddedBroker.start(0);
  }
}

function objectsUrl(folder: UserFolder): string {
  mkdirSync(folder.objects, { recursive: true });
  return pathToFileURL(folder.objects).href;
}
