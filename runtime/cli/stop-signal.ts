/**
 * The first SIGINT or SIGTERM asks to stop, the second ends at once.
 *
 * @param order - what stops in which order, for the sentence
 */
export function onStopSignal(
  order: string,
  say: (sentence: string) => void,
): { readonly stopped: Promise<symbol>; readonly signal: symbol } {
  const signal = Symbol('signal');
  const { promise, resolve } = Promise.withResolvers<symbol>();
  let asked = false;
  const onSignal = (): void => {
    if (asked) process.exit(130);
    asked = true;
    say(`stopping: ${order} (again: at once)`);
    resolve(signal);
  };
  process.on('SIGINT', onSignal);
  process.on('SIGTERM', onSignal);
  return { stopped: promise, signal };
}
