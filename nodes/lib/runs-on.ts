/** The variable of a tab that says which instances of a fleet run it. */
export const RUNS_ON = 'SLUICE_RUNS_ON';
/** Its value for the editor instance only. Without it every worker runs the tab. */
export const EDITOR_ONLY = 'editor';

/** Whether a tab, as the flows hold it, runs on the editor instance only. All others run on every worker. */
export function runsOnEditor(tab: object): boolean {
  const { env } = tab as { readonly env?: unknown };
  if (!Array.isArray(env)) return false;
  return env.some((row: unknown) => {
    const { name, value } = (row ?? {}) as Readonly<Record<string, unknown>>;
    return name === RUNS_ON && value === EDITOR_ONLY;
  });
}
