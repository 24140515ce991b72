/** What is asked of the thread that owns a spool's file, and how it answers. */
import type { DeliveryTag } from '../delivery/outcome.js';
import type { SpoolFileOptions } from './file.js';
import type { Appended, Counts, Damage, Packed, ReadLimits, SpooledDelivery } from './record.js';

export interface Commands {
  readonly open: (options: SpoolFileOptions) => void;
  readonly append: (records: Packed) => Appended;
  readonly read: (after: number, limits: ReadLimits) => Packed;
  readonly get: (seqs: readonly number[]) => Packed;
  readonly remove: (seqs: readonly number[]) => void;
  readonly bundles: () => number[];
  readonly takeBundle: (id: number) => string | undefined;
  readonly changeBundle: (id: number, about: string) => void;
  readonly readBundle: (id: number, after: number, limits: ReadLimits) => Packed;
  readonly removeBundle: (id: number, forget: boolean) => void;
  readonly deliveries: (after: DeliveryTag | undefined, most: number) => SpooledDelivery[];
  readonly close: () => void;
}

export interface Request {
  readonly id: number;
  readonly command: keyof Commands;
  readonly parameters: readonly unknown[];
}

export interface Answer {
  readonly id: number;
  readonly result?: unknown;
  /** `code`: of an UnavailableError. */
  readonly error?: { readonly code: string | undefined; readonly message: string };
  readonly counts: Counts | undefined;
  readonly damages: readonly Damage[];
}
