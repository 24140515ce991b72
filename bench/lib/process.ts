import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';

/** Of /proc/PID/stat: 100 on every Linux that Node.js runs on. */
const TICKS_PER_SECOND = 100;

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** A process that is measured with all that it has started. */
export class MeasuredProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;

  constructor(command: string, parameters: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    const child = spawn(command, parameters, {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', process.env['BENCH_LOG'] === undefined ? 'ignore' : 'inherit'],
    });
    this.#child = child;
    this.#ended = once(child, 'exit');
    running.add(child);
    child.once('exit', () => running.delete(child));
  }

  /** The first line that it writes, of those that are looked for. @throws when it ends before */
  async line(wanted: (line: string) => boolean = () => true): Promise<string> {
    const lines = createInterface({ input: this.#child.stdout as NodeJS.ReadableStream });
    const found = new Promise<string>((resolve) => {
      lines.on('line', (line) => {
        if (wanted(line)) resolve(line);
      });
    });
    const ended = this.#ended.then(() => {
      throw new Error(`${this.#child.spawnargs.join(' ')} ended before it was ready`);
    });
    return Promise.race([found, ended]);
  }

  /** In microseconds, since it was started. */
  get cpuUs(): number {
    return sum(this.#pids().map(cpuUsOf));
  }

  /** What its processes have had resident at most, each at its time, in MB (10^6 bytes). */
  get peakMb(): number {
    return sum(this.#megabytes('VmHWM'));
  }

  /** The same of the largest of them: with a launcher, the instance. */
  get peakMbOfLargest(): number {
    return Math.max(...this.#megabytes('VmHWM'));
  }

  /** What they have resident now, in MB. */
  get residentMb(): number {
    return sum(this.#megabytes('VmRSS'));
  }

  get residentMbOfLargest(): number {
    return Math.max(...this.#megabytes('VmRSS'));
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.#child.kill(signal);
    await this.#ended;
  }

  #megabytes(field: 'VmHWM' | 'VmRSS'): number[] {
    return this.#pids().map((pid) => kilobytes(pid, field) * 1.024e-3);
  }

  #pids(): number[] {
    const { pid } = this.#child;
    return pid === undefined ? [] : withDescendants(pid);
  }
}

function withDescendants(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').trim().split(' ').filter(Boolean).map(Number),
  );
  return [pid, ...children.flatMap(withDescendants)];
}

/**
 * The CPU time of one process since it was started, in microseconds. proc(5): utime and stime are the 14th and 15th field; the
 * second may have spaces in it, and ends with a bracket.
 */
export function cpuUsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * (1_000_000 / TICKS_PER_SECOND);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function kilobytes(pid: number, field: 'VmHWM' | 'VmRSS'): number {
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}
