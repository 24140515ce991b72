import { ConfigError } from '../lib/errors.js';
import type { Config } from './config.js';
import type { Random } from './random.js';

/** Gives a device's values, one a call. */
export type ValueModel = () => number;

export type ValueSettings = Pick<Config, 'model' | 'minimum' | 'maximum' | 'step' | 'period' | 'values' | 'rate'>;

/** 0.3 / 0.1 is a little less than 3. */
const ROUNDING = 1e-9;

/**
 * One device's model. Its time is that of its messages (`n / rate` seconds), so that a seed gives the same values
 * whatever the machine does.
 *
 * @param random - numbers in [0, 1)
 * @throws ConfigError when no value lies between the minimum and the maximum
 */
export function valueModel(
  { model, minimum, maximum, step, period, values, rate }: ValueSettings,
  random: Random,
): ValueModel {
  if (minimum > maximum) {
    throw new ConfigError(`/maximum: expected a number >= the minimum ${minimum}, got ${maximum}`, {
      code: 'range',
      path: '/maximum',
    });
  }
  const width = maximum - minimum;
  let count = 0;
  switch (model) {
    case 'integer': {
      const lowest = Math.ceil(minimum);
      const span = Math.floor(maximum) - lowest + 1;
      if (span < 1) {
        throw new ConfigError(`/maximum: expected a whole number from ${minimum} to it, got ${maximum}`, {
          code: 'range',
          path: '/maximum',
        });
      }
      return () => lowest + Math.floor(random() * span);
    }
    case 'uniform':
      return () => minimum + random() * width;
    case 'constant':
      return () => values[0] ?? 0;
    case 'walk': {
      let value = minimum + width / 2;
      return () => {
        value = Math.min(maximum, Math.max(minimum, value + (2 * random() - 1) * step));
        return value;
      };
    }
    case 'sine':
      return () => minimum + (width / 2) * (1 + Math.sin((2 * Math.PI * count++) / (rate * period)));
    case 'step': {
      const steps = Math.floor(width / step + ROUNDING) + 1;
      return () => minimum + (count++ % steps) * step;
    }
    case 'sequence':
      return () => values[count++ % values.length] ?? 0;
  }
}
