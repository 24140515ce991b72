/** What a launcher asks of a worker on another machine. */
export interface WorkerCommand {
  readonly type: 'leave' | 'restart';
  /** The run that is meant: to the one after it, what is sent again is nothing. */
  readonly runId: string;
}

export function decodeCommand(body: Buffer): WorkerCommand | undefined {
  try {
    const { type, runId } = JSON.parse(body.toString()) as Partial<WorkerCommand>;
    return (type === 'leave' || type === 'restart') && typeof runId === 'string' ? { type, runId } : undefined;
  } catch {
    return undefined; // of a version that says other things
  }
}
