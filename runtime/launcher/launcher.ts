import { hostname } from 'node:os';
import { environment } from './environment.js';
import { isLoopback } from './loopback.js';
import { startServices, type ServiceOptions, type Services } from './services.js';
import { Started } from './started.js';
import { SupervisedInstance } from './supervised-instance.js';
import { UserError } from './user-error.js';
import { UserFolder } from './user-folder.js';

export interface LaunchOptions extends ServiceOptions {
  /** A flow file; undefined for the default flow, where the folder has none. */
  readonly flow: string | undefined;
  readonly replace: boolean;
  readonly userDir: string;
  readonly name: string | undefined;
  readonly host: string;
  readonly port: number;
}

/** Where everything is, once it runs. None of it holds a password. */
export interface Running {
  readonly editor: string;
  readonly mqtt: string;
  readonly mongodb: string;
  readonly objects: string;
  readonly userDir: string;
  readonly embedded: Services['embedded'];
  /** Resolves when the instance has ended by itself and will not be started again. */
  readonly failed: Promise<string>;
  /** Stops in order: devices, until quiet, ingest, sinks, broker, store. @returns whether all of it ended as it should */
  stop(): Promise<boolean>;
}

/** Starts what is embedded and one instance, and keeps them running. @throws UserError */
export async function launch(options: LaunchOptions): Promise<Running> {
  const { say, host, port } = options;
  expectPassword(host);
  const name = options.name ?? environment('SLUICE_NAME') ?? hostname();
  const folder = new UserFolder(options.userDir);
  const file = await folder.claim(name);
  const started = new Started(say);
  started.add(() => {
    folder.release();
    return true;
  });
  try {
    folder.installFlow(options.flow, options.replace);
    const services = await startServices(options, folder, started);
    const instance = new SupervisedInstance({
      what: 'the instance',
      folder,
      file,
      host,
      port,
      environment: { ...process.env, ...services.environment, SLUICE_NAME: name },
      say,
    });
    started.add(() => instance.stop());
    await instance.start();
    return {
      editor: instance.url,
      ...services.shown,
      userDir: folder.path,
      embedded: services.embedded,
      failed: Promise.race([instance.failed, services.failed]),
      stop: () => started.stop(),
    };
  } catch (error) {
    await started.stop();
    throw error;
  }
}

/** @throws UserError when anybody could use the editor */
export function expectPassword(host: string): void {
  if (isLoopback(host) || environment('SLUICE_ADMIN_PASSWORD_HASH') !== undefined) return;
  throw new UserError(
    `expected SLUICE_ADMIN_PASSWORD_HASH to be set before the editor listens on ${host}, got nothing: ` +
      'whoever reaches it could run code. Make one with: sluice password',
  );
}
