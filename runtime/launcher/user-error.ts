/** Something that whoever typed the command can put right: shown as one sentence, without a stack. Exit code 1. */
export class UserError extends Error {
  override readonly name = 'UserError';
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
