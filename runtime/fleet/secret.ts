import { readFileSync } from 'node:fs';
import { environment } from '../launcher/environment.js';
import { messageOf, UserError } from '../launcher/user-error.js';

/** What flows are not to see of the environment. */
export const SECRET_VARIABLES = ['SLUICE_FLEET_SECRET', 'SLUICE_FLEET_SECRET_FILE'] as const;

/** Below it nobody guesses it from what it has signed. */
const LEAST_SECRET = 16;

/**
 * The secret in `SLUICE_FLEET_SECRET`, or in the file that `SLUICE_FLEET_SECRET_FILE` names, as containers get them.
 *
 * @returns undefined where neither is set
 * @throws UserError for one that can be guessed, or a file that cannot be read
 */
export function givenSecret(): string | undefined {
  const [inVariable, inFile] = SECRET_VARIABLES;
  const secret = environment(inVariable);
  if (secret !== undefined) return checkedSecret(secret, inVariable);
  const path = environment(inFile);
  return path === undefined ? undefined : checkedSecret(readSecret(path), path);
}

/** @param where - for the sentence. @throws UserError for one that can be guessed */
export function checkedSecret(secret: string, where: string): string {
  if (secret.length >= LEAST_SECRET) return secret;
  throw new UserError(
    `expected a fleet secret of at least ${LEAST_SECRET} characters in ${where}, got ${secret.length}: ` +
      'make one with: openssl rand -base64 32',
  );
}

function readSecret(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new UserError(
      `expected SLUICE_FLEET_SECRET_FILE to name a file with the fleet's secret, got ${path}: ${messageOf(error)}`,
      { cause: error },
    );
  }
}
