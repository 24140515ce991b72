import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Message } from '../../nodes/lib/message.js';
import { COMPRESSIONS } from '../../nodes/s3-sink/compression.js';
import { NdjsonFormat } from '../../nodes/s3-sink/ndjson.js';
import type { Part } from './part.js';

const LINES = 10_000;
const uuid = '0b8a3c0e-7f55-4c1d-9a44-000000000001';
const messages: Message[] = Array.from({ length: LINES }, (_none, seq) => ({
  topic: `device/${uuid}`,
  identity: `${uuid}:${seq}`,
  receivedAt: 1.79e12 + seq,
  payload: { uuid, seq, value: 20 + (seq % 100) / 10 },
}));
const format = new NdjsonFormat('envelope');

/** Lines of an object and their compression; the baseline is JSON and zlib. */
export const objectsPart: Part = {
  name: 'NDJSON + gzip',
  times: LINES * 5,
  ways: {
    'JSON.stringify + zlib': async (times) => {
      for (let done = 0; done < times; done += LINES) {
        const lines = messages.map(({ identity, topic, receivedAt, payload }) =>
          JSON.stringify({ identity, topic, receivedAt, payload }),
        );
        await promisify(gzip)(lines.join('\n'));
      }
    },
    's3-sink': async (times) => {
      for (let done = 0; done < times; done += LINES) {
        const lines = messages.map((message) => format.line(message, message.receivedAt ?? 0));
        await COMPRESSIONS.gzip.compress(Buffer.from(`${lines.join('\n')}\n`));
      }
    },
  },
};
