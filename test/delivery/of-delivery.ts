import { NextTurn } from '../../nodes/lib/delivery/branches.js';
import { carry } from '../../nodes/lib/delivery/carried.js';
import { Ledger } from '../../nodes/lib/delivery/ledger.js';
import type { Message } from '../../nodes/lib/message.js';

/** Makes a message one of a delivery with this number, as a source does. */
export function ofDelivery<M extends Message>(message: M, number: number, source: string): M {
  const ledger = new Ledger(source, {
    turn: new NextTurn((run) => void setImmediate(run)),
    nextNumber: () => number,
    bury: () => Promise.resolve('dead-lettered'),
  });
  carry(
    message,
    ledger.begin(0, () => undefined),
  );
  return message;
}
