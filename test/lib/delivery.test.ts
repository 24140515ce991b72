import assert from 'node:assert/strict';
import fc from 'fast-check';
import { NextTurn, type Failure } from '../../nodes/lib/delivery/branches.js';
import type { Delivery } from '../../nodes/lib/delivery/delivery.js';
import { gapOf, Ledger } from '../../nodes/lib/delivery/ledger.js';
import type { LateOutcome, Outcome } from '../../nodes/lib/delivery/outcome.js';

/** Event-loop turns that a test takes one by one. */
class Turns {
  #due: (() => void)[] = [];
  readonly turn = new NextTurn((run) => this.#due.push(run));

  async take(): Promise<void> {
    const due = this.#due;
    this.#due = [];
    for (const run of due) run();
    await Promise.resolve().then(() => undefined); // a burial that ends at once
  }

  get quiet(): boolean {
    return this.#due.length === 0;
  }
}

const FAILURE: Failure = {
  message: {},
  error: new Error('no'),
  origin: { node: { id: 'n', type: 't', name: 'n' }, tab: '', revision: '', instance: '', runId: '' },
};

/** What can happen to the branches of a delivery; `which` picks one of those that are open. */
type Step =
  | { readonly kind: 'begin' }
  | { readonly kind: 'send' | 'close' | 'fail' | 'close-twice'; readonly which: number; readonly outcome: Outcome }
  | { readonly kind: 'abandon' | 'drain'; readonly which: number; readonly late: LateOutcome }
  | { readonly kind: 'turn' };

const OUTCOMES = ['stored', 'spooled', 'dead-lettered', 'dropped'] as const;
const which = fc.nat({ max: 1_000 });
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ kind: 'begin' } as const) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constantFrom('send', 'close', 'close', 'fail', 'close-twice'),
      which,
      outcome: fc.constantFrom(...OUTCOMES),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constantFrom('abandon', 'drain'),
      which,
      late: fc.constantFrom('stored', 'dead-lettered', 'dropped'),
    }),
  },
  { weight: 2, arbitrary: fc.constant({ kind: 'turn' } as const) },
);

/** A model beside the ledger: which branches are open, by delivery. */
interface Modelled {
  readonly delivery: Delivery;
  open: number;
  answered: number;
  abandoned: boolean;
  spooled: number;
}

describe('the ledger', () => {
  it('never answers a delivery with an open branch, answers each once in the end, and always adds up', () =>
    fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 200 }), async (steps) => {
        const turns = new Turns();
        let number = 0;
        const ledger = new Ledger('source', {
          turn: turns.turn,
          nextNumber: () => ++number,
          bury: () => Promise.resolve('dead-lettered'),
        });
        const all: Modelled[] = [];
        const pick = (index: number, fits: (one: Modelled) => boolean): Modelled | undefined => {
          const fitting = all.filter(fits);
          return fitting[index % Math.max(1, fitting.length)];
        };
        const isOpen = ({ open }: Modelled): boolean => open > 0;
        const close = (one: Modelled, outcome: Outcome): void => {
          one.open--;
          if (outcome === 'spooled') one.spooled++;
          one.delivery.close('node', outcome);
        };
        const drain = (one: Modelled, late: LateOutcome): void => {
          one.spooled--;
          ledger.drained(one.delivery.tag.number, late, 'sink');
        };
        const check = (): void => {
          assert.equal(gapOf(ledger.report()), 0, 'adds up');
          for (const { open, answered } of all) assert.ok(open === 0 || answered === 0, 'answered while open');
        };

        for (const action of steps) {
          switch (action.kind) {
            case 'begin': {
              const one: Modelled = {
                delivery: ledger.begin(0, () => one.answered++),
                open: 1,
                answered: 0,
                abandoned: false,
                spooled: 0,
              };
              all.push(one);
              break;
            }
            case 'send': {
              // Also when none is open any more, within the turn: as a Complete node does.
              const one = pick(action.which, ({ delivery }) => !delivery.ended);
              if (one?.delivery.add() === true) one.open++;
              break;
            }
            case 'close': {
              const one = pick(action.which, isOpen);
              if (one !== undefined) close(one, action.outcome);
              break;
            }
            case 'close-twice': {
              // A node that calls `done` again, after all has been settled.
              const one = pick(action.which, ({ delivery }) => delivery.ended);
              one?.delivery.close('node');
              assert.equal(one?.delivery.add() ?? false, false, 'nothing is added to what has ended');
              break;
            }
            case 'fail': {
              const one = pick(action.which, isOpen);
              if (one === undefined) break;
              one.open--;
              one.delivery.fail(FAILURE);
              break;
            }
            case 'abandon': {
              const one = pick(action.which, ({ answered, abandoned }) => answered === 0 && !abandoned);
              if (one === undefined) break;
              ledger.abandon([one.delivery]);
              one.abandoned = one.delivery.abandoned;
              break;
            }
            case 'drain': {
              const one = pick(action.which, ({ spooled }) => spooled > 0);
              if (one !== undefined) drain(one, action.late);
              break;
            }
            case 'turn':
              await turns.take();
              break;
          }
          check();
        }

        for (const one of all) while (one.open > 0) close(one, 'stored');
        while (!turns.quiet) await turns.take();
        await turns.take();
        for (const one of all) {
          assert.equal(one.answered, one.abandoned ? 0 : 1, 'answered once, or abandoned');
          while (one.spooled > 0) drain(one, 'stored');
        }
        const { inFlight, spooled, received } = ledger.report();
        assert.deepEqual({ inFlight, spooled, received }, { inFlight: 0, spooled: 0, received: all.length });
        check();
      }),
      { numRuns: 500 },
    ));

  it('counts what an earlier run has left in spools until it has left them, whichever comes first', () => {
    const ledger = new Ledger('source', {
      turn: new NextTurn(() => undefined),
      nextNumber: () => 10,
      bury: () => Promise.resolve('dead-lettered'),
    });
    for (const number of [1, 2, 3]) ledger.restore(number, 1);
    ledger.restore(2, 1); // in a second spool
    assert.deepEqual([ledger.report().spooledAtStart, ledger.report().spooled], [3, 3]);
    ledger.drained(2, 'stored', 'sink');
    assert.equal(ledger.report().spooled, 3);
    ledger.drained(2, 'dead-lettered', 'invalid');
    ledger.drained(1, 'stored', 'sink');
    const { spooled, stored, deadLettered } = ledger.report();
    assert.deepEqual({ spooled, stored, deadLettered }, { spooled: 1, stored: 1, deadLettered: 1 });
    assert.equal(gapOf(ledger.report()), 0);
    assert.deepEqual(ledger.reasons(), { 'dead-lettered{invalid}': 1 });
  });
});
