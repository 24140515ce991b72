/** What an instance says of its flows when that changes, for the editor. */
export interface Running {
  readonly slot: number;
  readonly revision: number;
  readonly wanted: number;
  readonly problem?: string;
  /** It has the manifest, and not all that belongs to it: what the broker has of it is not as it was published. */
  readonly isMissing?: boolean;
}

export function encodeRunning(running: Running): Buffer {
  return Buffer.from(JSON.stringify(running));
}

/** @returns undefined for what another version of Sluice may say */
export function decodeRunning(body: Buffer): Running | undefined {
  const value = JSON.parse(body.toString()) as Partial<Running> | null;
  const { slot, revision, wanted, problem, isMissing } = value ?? {};
  if (!Number.isSafeInteger(slot) || !Number.isSafeInteger(revision) || !Number.isSafeInteger(wanted)) return undefined;
  return {
    ...({ slot, revision, wanted } as Running),
    ...(typeof problem === 'string' && { problem }),
    isMissing: isMissing === true,
  };
}
