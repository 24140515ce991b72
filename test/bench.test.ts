import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

function bench(...parameters: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, ['--import', 'tsx', 'bench/bench.ts', ...parameters], {
    cwd: root,
    encoding: 'utf8',
  });
}

describe('npm run bench', () => {
  it('measures each way in every run, prints a table and its goals, and writes every run', () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-bench-test-'));
    try {
      const file = join(folder, 'parts.json');
      const { status, stdout } = bench('parts', '--only', 'router', '--runs', '2', '--json', file);
      assert.match(stdout, /^router +100 rules +[\d.]+ +[\d.]+$/m);
      const [, verdict] = /^goal router, .*: (met|missed) \(got [\d.]+ ×, limit at most 10 ×\)$/m.exec(stdout) ?? [];
      assert.equal(status, verdict === 'met' ? 0 : 1);
      const { question, runs } = JSON.parse(readFileSync(file, 'utf8')) as { question: string; runs: object[] };
      assert.deepEqual([question, runs.length], ['parts', 3 * 2]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  for (const [what, parameters, sentence] of [
    ['no question', [], /expected the name of a question .*, got ""/],
    ['another question', ['speed'], /expected the name of a question .*, got "speed"/],
    ['no run', ['start', '--runs', '0'], /a number of runs from 1, got --runs 0/],
    ['another option', ['start', '--fast'], /--fast/],
  ] as const) {
    it(`refuses ${what}, and says what there is`, () => {
      const { status, stderr } = bench(...parameters);
      assert.equal(status, 2);
      assert.match(stderr, sentence);
      assert.match(stderr, /pipeline +what a message costs/);
    });
  }

  it('tells its questions', () => {
    const { status, stdout } = bench('--help');
    assert.equal(status, 0);
    for (const name of ['pipeline', 'burst', 'scale', 'parts', 'fleet', 'start'])
      assert.ok(stdout.includes(`  ${name} `));
  });
});
