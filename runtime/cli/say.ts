/** Tells whoever runs a command: what is to be read by programs is on the standard output alone. */
export function say(sentence: string): void {
  process.stderr.write(`sluice: ${sentence}\n`);
}
