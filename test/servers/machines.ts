/** Machines beside this one, as far as a network goes: namespaces of the kernel on a bridge of their own. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ServerMissing } from './server.js';

const run = promisify(execFile);

export interface Machine {
  /** What starts a command on it. */
  readonly command: readonly string[];
  /** Pulls its cable: nobody is told. */
  cutOff(): Promise<void>;
  reconnect(): Promise<void>;
}

export interface Machines {
  /** This machine, as the others reach it. */
  readonly address: string;
  add(): Promise<Machine>;
  stop(): Promise<void>;
}

/** A network of its own takes root; else throws `ServerMissing`. */
export async function startMachines(): Promise<Machines> {
  const id = process.pid;
  const bridge = `sl${id}`;
  const network = `10.213.${id % 256}`;
  const address = `${network}.1`;
  const namespaces: string[] = [];
  try {
    await ip('link', 'add', bridge, 'type', 'bridge');
  } catch (error) {
    throw new ServerMissing(`machines of their own are network namespaces, which root may make: ${String(error)}`);
  }
  const stop = async (): Promise<void> => {
    for (const namespace of namespaces) await ip('netns', 'del', namespace); // and its cable with it
    await ip('link', 'del', bridge);
  };
  const add = async (): Promise<Machine> => {
    const number = namespaces.length + 2;
    const namespace = `sl${id}-${number}`;
    const [outside, inside] = [`sl${id}o${number}`, `sl${id}i${number}`];
    await ip('netns', 'add', namespace);
    namespaces.push(namespace);
    await ip('link', 'add', outside, 'type', 'veth', 'peer', 'name', inside);
    await ip('link', 'set', inside, 'netns', namespace);
    await ip('link', 'set', outside, 'master', bridge, 'up');
    await ip('-n', namespace, 'address', 'add', `${network}.${number}/24`, 'dev', inside);
    await ip('-n', namespace, 'link', 'set', inside, 'up');
    await ip('-n', namespace, 'link', 'set', 'lo', 'up');
    return {
      command: ['ip', 'netns', 'exec', namespace],
      cutOff: () => ip('link', 'set', outside, 'down'),
      reconnect: () => ip('link', 'set', outside, 'up'),
    };
  };
  try {
    await ip('address', 'add', `${address}/24`, 'dev', bridge);
    await ip('link', 'set', bridge, 'up');
    // Whether namespaces may be made too.
    await ip('netns', 'add', `sl${id}-1`);
    namespaces.push(`sl${id}-1`);
  } catch (error) {
    await stop();
    throw new ServerMissing(`machines of their own are network namespaces, which root may make: ${String(error)}`);
  }
  return { address, add, stop };
}

async function ip(...parameters: string[]): Promise<void> {
  await run('ip', parameters);
}
