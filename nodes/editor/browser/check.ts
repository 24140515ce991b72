import { FORMATS } from '../../lib/formats.js';
import { prepare, settingsProblems, settingsValidator, type SettingsSchema } from '../../lib/settings.js';

/** Says what is wrong with a field's value; undefined when nothing is. The same check as at deploy. */
export type FieldCheck = (value: unknown) => string | undefined;

const PAGE_FORMATS = { ...FORMATS, jsonata: expressionProblem };

export function fieldCheck(schema: SettingsSchema, required: boolean): FieldCheck {
  const validate = settingsValidator(schema, PAGE_FORMATS);
  return (value) => {
    if (!required && (value === '' || value === undefined)) return undefined;
    // What a variable stands for is known at deploy; the text around it cannot be judged.
    const unknown = (name: string): unknown => '${' + name + '}';
    const problems = settingsProblems(validate, prepare(schema, value, unknown, ''), PAGE_FORMATS);
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

function expressionProblem(text: string): string | undefined {
  try {
    jsonata(text);
    return undefined;
  } catch (error) {
    const { message, position } = error as { message: string; position?: number };
    return `expected a JSONata expression, got ${JSON.stringify(text)}: ${message} (character ${String(position ?? 0)})`;
  }
}
