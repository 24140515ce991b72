import assert from 'node:assert/strict';
import type { ConfigError, RejectedError, UnavailableError } from '../nodes/lib/errors.js';

export const SECRET = 'a-secret-that-nobody-may-see';

export interface Problem {
  readonly type: typeof ConfigError | typeof UnavailableError | typeof RejectedError;
  readonly code: string;
  readonly sentence: RegExp;
}

/** Checks an error, and that nothing that a flow or a log gets of it holds the secret. */
export function isProblem({ type, code, sentence }: Problem): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof type, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, sentence);
    const cause = error.cause as Error | undefined;
    const all = [error.message, error.stack, cause?.stack, JSON.stringify(cause), Object.values(cause ?? {})].join(
      '\n',
    );
    assert.ok(!all.includes(SECRET), all);
    return true;
  };
}
