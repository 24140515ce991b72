import type { FieldHint } from '../../adapter/palette.js';

/** Whether a field is shown while the field that it depends on has a value. A variable may stand for any. */
export function isShown(when: NonNullable<FieldHint['when']>, value: string): boolean {
  return value.includes('${') || when.is.some((one) => String(one) === value);
}
