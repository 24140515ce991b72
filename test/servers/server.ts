/**
 * What the real servers of the tests have in common: where their programs come from, how one is started on a free port
 * and awaited, and what a suite does where one cannot be had.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Mocha from 'mocha';

export { freePort } from '../../runtime/chaos/free-port.js';

/** Thrown when a real server cannot be had on this machine. The message says what is missing and how to provide it. */
export class ServerMissing extends Error {
  override readonly name = 'ServerMissing';
}

export interface TestServer {
  /** Where clients connect. */
  readonly url: string;
  stop(): Promise<void>;
}

/** Between two looks at something that is not ready yet. */
const POLL_MS = 25;
const READY_WITHIN_MS = 30_000;
const STOP_WITHIN_MS = 5_000;
/** A build from nothing takes 90 s on two idle cores. */
const BUILD_WITHIN_MS = 900_000;

/** The first program of that name on the PATH. */
export async function findOnPath(program: string): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const candidate = join(folder, program);
    if (folder !== '' && (await exists(candidate))) return candidate;
  }
  return undefined;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

export interface ServerProcess {
  readonly process: ChildProcess;
  /** What the program has written so far, both streams. */
  output(): string;
  /** SIGTERM, then SIGKILL after five seconds; resolves when the process is gone. */
  stop(): Promise<void>;
  /** SIGKILL, as a crash. */
  kill(): Promise<void>;
}

export interface ProcessOptions {
  command: string;
  args: readonly string[];
  env?: NodeJS.ProcessEnv;
  cwd?: string;
  /** Ready means that this TCP port of 127.0.0.1 accepts a connection. */
  port: number;
}

/**
 * Starts a program and resolves once its port accepts connections. It is killed at the latest when this process exits.
 * Rejects with what the program wrote when it ends before that, or is not ready within 30 s.
 */
export async function startProcess({ command, args, env, cwd, port }: ProcessOptions): Promise<ServerProcess> {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const killAtExit = (): void => void child.kill('SIGKILL');
  process.once('exit', killAtExit);
  const gone = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      output += error.message;
      resolve();
    });
    child.once('exit', () => resolve());
  });
  let running = true;
  void gone.then(() => {
    running = false;
    process.off('exit', killAtExit);
  });
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    const patience = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
    await gone;
    clearTimeout(patience);
  };

  const deadline = Date.now() + READY_WITHIN_MS;
  while (!(await accepts(port))) {
    if (!(running as boolean)) throw new Error(`${command} ended before it was ready:\n${output}`);
    if (Date.now() > deadline) {
      await end('SIGKILL');
      throw new Error(`${command} was not ready on port ${port} within ${READY_WITHIN_MS} ms:\n${output}`);
    }
    await delay(POLL_MS);
  }
  return { process: child, output: () => output, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
}

async function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

export interface GoTool {
  /** Names the program in the cache and in messages. */
  name: string;
  /** The package to build; with `mainSource`, the one that it imports. */
  package: string;
  /** An exact version of the package's module, with the v. */
  version: string;
  /** The text of a `main.go`, for a package that is a library. */
  mainSource?: string;
}

/**
 * The path of a program built by the Go toolchain, from a cache outside the checkout ($XDG_CACHE_HOME or ~/.cache,
 * under `sluice-test-servers`). Built once; two test runs at the same time build it once. Throws `ServerMissing`
 * where there is no Go, or where its modules cannot be downloaded.
 */
export async function goTool(tool: GoTool): Promise<string> {
  const { name, version } = tool;
  return built(`${name}-${version}-${process.platform}-${process.arch}`, ['go'], async (folder) => {
    await writeFile(join(folder, 'go.mod'), `module sluice-test/${name}\n\ngo 1.23\n`);
    if (tool.mainSource !== undefined) await writeFile(join(folder, 'main.go'), tool.mainSource);
    // Of the package, not of the module: so it adds the sums of what that package needs, and no more.
    await run(name, folder, 'go', ['get', `${tool.package}@${version}`]);
    const main = tool.mainSource === undefined ? tool.package : '.';
    await run(name, folder, 'go', ['build', '-buildvcs=false', '-trimpath', '-o', 'program', main]);
    return join(folder, 'program');
  });
}

/**
 * The path of what is built once and kept in the cache under a name. Two test runs at the same time build it once.
 * Throws `ServerMissing` where one of the tools is not on the PATH, or fails.
 *
 * @param build - gets an empty folder; resolves with the path in it of what is to be kept
 */
export async function built(
  name: string,
  tools: readonly string[],
  build: (folder: string) => Promise<string>,
): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'sluice-test-servers');
  const kept = join(cache, name);
  if (await exists(kept)) return kept;
  for (const tool of tools) {
    if ((await findOnPath(tool)) === undefined) {
      throw new ServerMissing(`${name} is built with ${tools.join(', ')}, and there is no "${tool}" on the PATH`);
    }
  }
  await mkdir(cache, { recursive: true });
  const unlock = await lock(`${kept}.lock`);
  try {
    if (await exists(kept)) return kept;
    const folder = await mkdtemp(join(cache, `${name}-build-`));
    try {
      // Only a complete program ever has the final name.
      await rename(await build(folder), kept);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  } finally {
    await unlock();
  }
  return kept;
}

/** Runs a step of a build. Throws `ServerMissing` with the end of what it wrote when it fails. */
export async function run(name: string, cwd: string, command: string, args: readonly string[]): Promise<void> {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'], timeout: BUILD_WITHIN_MS });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) {
    const tail = output.trim().split('\n').slice(-5).join('\n');
    throw new ServerMissing(`${name} could not be built ("${command} ${args.join(' ')}"):\n${tail}`);
  }
}

/** An exclusive file that names its owner; one whose owner has died is taken over. */
async function lock(path: string): Promise<() => Promise<void>> {
  const deadline = Date.now() + BUILD_WITHIN_MS;
  for (;;) {
    try {
      await writeFile(path, String(process.pid), { flag: 'wx' });
      return () => rm(path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const owner = Number(await readFile(path, 'utf8').catch(() => ''));
    if (owner > 0 && !alive(owner)) await rm(path, { force: true });
    if (Date.now() > deadline) throw new Error(`waited ${BUILD_WITHIN_MS} ms for the build that holds ${path}`);
    await delay(POLL_MS * 10);
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * A mocha suite that needs a real server: starts it before the first test and stops it after the last. Where it is
 * missing the suite becomes one pending test that says what is missing; with `SLUICE_TEST_ALL=1` that is a failure.
 *
 * @param suite defines the tests; it gets a function that gives the server, callable from hooks and tests.
 */
export function describeWithServer<T extends { stop(): Promise<void> }>(
  title: string,
  start: () => Promise<T>,
  suite: (server: () => T) => void,
): void {
  describe(title, function () {
    let server: T | undefined;
    before(async function () {
      this.timeout(BUILD_WITHIN_MS);
      try {
        server = await start();
      } catch (error) {
        if (!(error instanceof ServerMissing) || process.env['SLUICE_TEST_ALL'] === '1') throw error;
        leaveOut(this.test?.parent, error.message);
      }
    });
    after(async () => server?.stop());
    describe('with it', () => {
      suite(() => {
        if (server === undefined) throw new Error(`${title}: the server is used before it has started`);
        return server;
      });
    });
  });
}

/** Runs inside the suite's first hook: mocha looks up the tests of a suite only after its hooks. */
function leaveOut(suite: Mocha.Suite | undefined, reason: string): void {
  if (suite === undefined) throw new Error('a hook without a suite');
  suite.suites.length = 0;
  suite.addTest(new Mocha.Test(`left out: ${reason}`));
}
