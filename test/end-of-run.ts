/**
 * Mocha waits for the process to end by itself, so that a test which leaves something open shows. This makes such a run
 * end, with a failure and what is open, instead of hanging.
 */
import { execFileSync } from 'node:child_process';

const ENDS_WITHIN_MS = 30_000;

export function mochaGlobalTeardown(): void {
  setTimeout(() => {
    const resources = process.getActiveResourcesInfo().toSorted().join(', ');
    console.error(
      `expected the process to end within ${ENDS_WITHIN_MS} ms of its last test, got still open: ${resources}`,
    );
    console.error(`child processes:\n${childProcesses()}`);
    // After mocha's own, which sets the number of failed tests.
    process.on('exit', () => (process.exitCode = 1));
    process.exit();
  }, ENDS_WITHIN_MS).unref();
}

function childProcesses(): string {
  const lines = execFileSync('ps', ['-o', 'pid=,ppid=,args=', '-A'], { encoding: 'utf8' }).split('\n');
  const children = lines.filter((line) => line.trim().split(/\s+/)[1] === String(process.pid));
  return children.filter((line) => !line.includes('ps -o pid=')).join('\n') || 'none';
}
