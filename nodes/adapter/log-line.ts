/** A constant sentence, and the fields that vary, as one line of a log. */
export function logLine(sentence: string, fields: Readonly<Record<string, unknown>>): string {
  return [sentence, ...Object.entries(fields).map(([field, value]) => `${field}=${String(value)}`)].join(' ');
}
