import assert from 'node:assert/strict';
import { decide, type Sample } from '../../runtime/fleet/scaling/decide.js';

/** One sample a second, from second 100 on. */
function seconds(windows: readonly number[], workers = 2, age?: (second: number) => number): Sample[] {
  return windows.map((window, second) => ({
    at: (100 + second) * 1_000,
    workers,
    window,
    ...(age !== undefined && { ageSeconds: age(second) }),
  }));
}

const times = (count: number, window: number): number[] => Array.from({ length: count }, () => window);
const LIMITS = { min: 1, max: 8 };

const CASES: readonly (readonly [
  string,
  readonly Sample[],
  number | undefined,
  changedAt?: number,
  limits?: typeof LIMITS,
])[] = [
  ['nothing is known', [], undefined],
  ['windows are full for 5 s, and messages carry no time', seconds(times(6, 0.9)), 3],
  ['windows are full for 4 s', seconds(times(5, 0.9)), undefined],
  ['windows are full, but for a moment', seconds([1, 1, 1, 0.7, 1, 1]), undefined],
  ['windows are full and messages get older', seconds(times(6, 1), 2, (second) => second), 3],
  ['windows are full and messages do not get older: the workers keep up', seconds(times(6, 1), 2, () => 4), undefined],
  ['windows are full and messages get younger', seconds(times(6, 1), 2, (second) => 9 - second), undefined],
  ['there are as many as there may be', seconds(times(6, 1), 8), undefined],
  ['the last change was 9 s ago', seconds(times(6, 1)), undefined, 96_000],
  ['the last change was 10 s ago', seconds(times(6, 1)), 3, 95_000],
  ['nothing happens for 30 s', seconds(times(31, 0)), 1],
  ['nothing happens for 29 s', seconds(times(30, 0)), undefined],
  ['nothing happens, but for a moment', seconds([...times(15, 0), 0.4, ...times(15, 0)]), undefined],
  ['one fewer would be too full', seconds(times(31, 0.3)), undefined],
  ['of four, one fewer would do', seconds(times(31, 0.3), 4), 3],
  ['there are as few as there may be', seconds(times(31, 0), 1), undefined],
  ['there are fewer than there may be, whatever the load', seconds([0], 1), 2, 100_000, { min: 2, max: 3 }],
  ['there are more than there may be, whatever the load', seconds([1], 5), 3, 100_000, { min: 2, max: 3 }],
];

describe('scaling by the load', () => {
  for (const [title, samples, workers, changedAt = 0, limits = LIMITS] of CASES) {
    it(`${workers === undefined ? 'changes nothing' : `wants ${workers} workers`} when ${title}`, () => {
      assert.equal(decide(samples, limits, changedAt)?.workers, workers);
    });
  }

  it('says the figures that it decides by', () => {
    const grown = decide(
      seconds([0.81, 0.9, 1, 1, 1, 1], 2, (second) => 0.5 + second),
      LIMITS,
      0,
    );
    assert.equal(grown?.why, 'windows 81–100 % full for 5 s, age at receipt 0.5 → 5.5 s');
    const shrunk = decide(seconds(times(31, 0.1)), LIMITS, 0);
    assert.equal(shrunk?.why, 'windows 10 % full for 30 s, age at receipt not known');
  });

  it('does not take back what it has done: the same load on one more worker is no reason to remove it', () => {
    for (const window of [0.8, 0.9, 1]) {
      for (let workers = 1; workers < 8; workers++) {
        const spread = (window * workers) / (workers + 1);
        const after = decide(seconds(times(31, spread), workers + 1), LIMITS, 0);
        assert.ok(after === undefined || after.workers > workers, `${workers} workers, ${window}`);
      }
    }
  });
});
