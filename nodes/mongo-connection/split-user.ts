/**
 * Takes user and password out of a connection string: up to the last @ before the options, so that it also works where
 * they should have been percent-encoded and were not.
 *
 * @returns undefined for one without a password, and for one with a variable: what that holds is in no flow
 */
export function splitUser(uri: string): { uri: string; user: string; password: string } | undefined {
  if (uri.includes('${')) return undefined;
  const match = /^(\s*mongodb(?:\+srv)?:\/\/)([^?:]*):([^?]*)@(.*)$/s.exec(uri);
  if (match === null) return undefined;
  const [, scheme = '', user = '', password = '', rest = ''] = match;
  return { uri: scheme + rest, user: decoded(user), password: decoded(password) };
}

/** Percent-encoding, undone where there is some. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // not percent-encoded: it stands for itself
  }
}
