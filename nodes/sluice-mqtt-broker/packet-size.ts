import type { Publication } from './outbox.js';

/** The greatest packet that MQTT can carry: four bytes of remaining length, and five before what they count. */
export const LARGEST_PACKET = 268_435_455 + 5;

/** How many bytes a PUBLISH takes (MQTT 5.0 section 3.3; for 3.1.1 without properties). */
export function publishSize({ topic, payload, qos, properties }: Publication, version: 4 | 5): number {
  const remaining =
    textSize(topic) +
    (qos > 0 ? 2 : 0) +
    (version === 5 ? withLength(propertiesSize(properties ?? {})) : 0) +
    Buffer.byteLength(payload);
  return 1 + withLength(remaining);
}

function propertiesSize(properties: NonNullable<Publication['properties']>): number {
  let size = 0;
  const { contentType, responseTopic, correlationData, messageExpiryInterval, userProperties = {} } = properties;
  if (contentType !== undefined) size += 1 + textSize(contentType);
  if (responseTopic !== undefined) size += 1 + textSize(responseTopic);
  if (correlationData !== undefined) size += 1 + 2 + correlationData.length;
  if (messageExpiryInterval !== undefined) size += 1 + 4;
  for (const [name, values] of Object.entries(userProperties)) {
    for (const value of [values].flat()) size += 1 + textSize(name) + textSize(value);
  }
  return size;
}

const textSize = (text: string): number => 2 + Buffer.byteLength(text);

/** What follows a length, with that length: a variable byte integer (section 1.5.5). */
function withLength(size: number): number {
  return size + (size < 128 ? 1 : size < 16_384 ? 2 : size < 2_097_152 ? 3 : 4);
}
