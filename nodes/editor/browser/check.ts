import { prepare, settingsProblems, settingsValidator, type SettingsSchema } from '../../lib/settings.js';

/** Says what is wrong with a field's value; undefined when nothing is. The same check as at deploy. */
export type FieldCheck = (value: unknown) => string | undefined;

export function fieldCheck(schema: SettingsSchema, required: boolean): FieldCheck {
  const validate = settingsValidator(schema);
  return (value) => {
    if (!required && (value === '' || value === undefined)) return undefined;
    // A flow of an earlier version, without this field: it gets the default, as at deploy.
    if (value === undefined && schema.default !== undefined) return undefined;
    // What a variable stands for is known at deploy; the text around it cannot be judged.
    const unknown = (name: string): unknown => '${' + name + '}';
    const problems = settingsProblems(validate, prepare(schema, value, unknown, ''));
    const problem = problems.find(({ path }) => !hasVariable(valueAt(value, path)));
    return problem === undefined ? undefined : [problem.path, problem.message].filter((part) => part !== '').join(': ');
  };
}

function hasVariable(value: unknown): boolean {
  return typeof value === 'string' && /\$\{[^{}\s]+\}/.test(value);
}

function valueAt(value: unknown, pointer: string): unknown {
  return pointer
    .split('/')
    .slice(1)
    .reduce<unknown>((at, step) => (at as Record<string, unknown> | null | undefined)?.[step], value);
}
