import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Answers, type Receipt } from '../../nodes/lib/delivery/answers.js';

type Qos = 0 | 1 | 2;
interface Step {
  readonly kind: 'receive' | 'answer' | 'leave' | 'flush' | 'forget';
  readonly qos?: Qos;
  /** Picks among the receipts of all connections so far, so also of those that are gone. */
  readonly which?: number;
}

const which = fc.nat();
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('receive' as const), qos: fc.constantFrom<Qos[]>(0, 1, 2) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('answer' as const), which }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), which }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('flush' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const) }) },
);

interface Received {
  readonly id: number;
  readonly qos: Qos;
  readonly connection: number;
  readonly receipt: Receipt;
  state: 'open' | 'answered' | 'left';
}

/** The longest run of settled ones from the first on. */
function settledRun(received: readonly Received[]): readonly Received[] {
  const firstOpen = received.findIndex(({ state }) => state === 'open');
  return firstOpen === -1 ? received : received.slice(0, firstOpen);
}

describe('answers', () => {
  it('go in the order of receipt, each once, never before all is settled, never for another connection', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.nat(20), (steps, window) => {
        const all: Received[] = [];
        const answered = new Set<number>();
        let connection = 0;
        const told = { lately: false };
        const answers = new Answers<number>(
          () => window,
          () => (told.lately = true),
        );
        const here = (qos: Qos): Received[] =>
          all.filter((received) => received.connection === connection && received.qos === qos);
        const due = (qos: 1 | 2): number[] =>
          settledRun(here(qos))
            .filter(({ id, state }) => state === 'answered' && !answered.has(id))
            .map(({ id }) => id);

        const perform: Record<Step['kind'], (step: Step) => void> = {
          receive: ({ qos = 0 }) => {
            const id = all.length;
            all.push({ id, qos, connection, receipt: answers.add(qos, id), state: 'open' });
          },
          answer: ({ which = 0 }) => settle(which, 'answer', 'answered'),
          leave: ({ which = 0 }) => settle(which, 'leave', 'left'),
          flush: () => {
            for (const qos of [1, 2] as const) {
              const expected = due(qos);
              assert.deepEqual(answers.take(qos), expected);
              for (const id of expected) answered.add(id);
            }
            told.lately = false;
            const waiting = ([1, 2] as const).map((qos) => here(qos).length - settledRun(here(qos)).length);
            const open =
              here(0).filter(({ state }) => state === 'open').length + waiting.reduce((sum, count) => sum + count);
            assert.deepEqual([answers.open, answers.full], [open, open >= window]);
          },
          forget: () => {
            answers.forget();
            connection++;
            told.lately = false;
          },
        };
        function settle(which: number, call: 'answer' | 'leave', state: 'answered' | 'left'): void {
          const received = all[which % Math.max(1, all.length)];
          received?.receipt[call]();
          if (received?.state === 'open') received.state = state;
        }

        for (const happens of steps) {
          perform[happens.kind](happens);
          assert.ok(
            told.lately || due(1).length + due(2).length === 0,
            'there is something to take, and it was not told',
          );
        }
      }),
    );
  });
});
