/** What a payload must be, for every consumer that checks it. */
export const SCHEMA = {
  type: 'object',
  required: ['uuid', 'value', 'seq'],
  properties: {
    uuid: { type: 'string', minLength: 36, maxLength: 36 },
    value: { type: 'number', minimum: 0, maximum: 100 },
    seq: { type: 'integer', minimum: 1 },
    sentAt: { type: 'number' },
  },
};
