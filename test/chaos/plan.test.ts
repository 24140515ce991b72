import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FAULT_KINDS, planOf, plannedText, targetOf, type FaultKind } from '../../runtime/chaos/plan.js';

const ALL = { count: 20_000, rate: 250, available: FAULT_KINDS };
const kindsOf = (plan: readonly { kind: FaultKind }[]): FaultKind[] => plan.map(({ kind }) => kind);

describe('the plan of a chaos run', () => {
  it('is the same for the same seed, and another for another', () => {
    const plan = planOf({ ...ALL, seed: '1' });
    assert.deepEqual(planOf({ ...ALL, seed: '1' }), plan);
    assert.notDeepEqual(planOf({ ...ALL, seed: '2' }), plan);
  });

  it('has each kind at least once when the count allows', () => {
    for (const seed of ['1', '2', '3', 'x']) {
      const plan = planOf({ ...ALL, seed });
      assert.deepEqual(new Set(kindsOf(plan)), new Set(FAULT_KINDS));
      assert.equal(plan.length, 16);
    }
  });

  it('kills the runtime where there is time for one fault only', () => {
    assert.deepEqual(kindsOf(planOf({ ...ALL, count: 500, seed: '1' })), ['kill-runtime']);
  });

  it('stops the store for 20 s, and for less where that would be most of the run', () => {
    const stopped = (count: number): number | undefined =>
      planOf({ ...ALL, count, seed: '1' }).find(({ kind }) => kind === 'stop-store')?.seconds;
    assert.equal(stopped(20_000), 20);
    assert.equal(stopped(2_500), 2.5);
  });

  it('is in order, within the messages, over before their end, and of what can be done', () => {
    const settings = fc.record({
      seed: fc.string(),
      count: fc.integer({ min: 1, max: 100_000 }),
      rate: fc.integer({ min: 1, max: 5_000 }),
      available: fc.subarray([...FAULT_KINDS]),
    });
    fc.assert(
      fc.property(settings, (one) => {
        const plan = planOf(one);
        assert.equal(plan.length > 0, one.available.length > 0);
        let before = 1;
        for (const { kind, after, seconds, which } of plan) {
          assert.ok(one.available.includes(kind) && after >= before && after <= one.count);
          assert.ok(seconds >= 0 && seconds <= one.count / one.rate && which >= 0 && which < 1);
          before = after;
        }
      }),
    );
  });

  it('says what it does, and to what', () => {
    const fault = { kind: 'stop-store', after: 1_234, seconds: 20, which: 0 } as const;
    assert.equal(plannedText(fault), 'after 1,234 messages: SIGSTOP of the document store, for 20 s');
    const targets = FAULT_KINDS.map(targetOf);
    assert.deepEqual(new Set(targets), new Set(['runtime', 'store', 'broker']));
    assert.equal(targetOf('full-disk'), 'runtime');
  });
});
