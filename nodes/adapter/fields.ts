/** Fields that several nodes have. The build puts them into each node's `config.js`. */
import Type from 'typebox';

/** How many may wait in memory, and of how many bytes. @param what - `messages that wait for a write` */
export const queueFields = (what: string, unit: string) => ({
  maxQueue: Type.Integer({
    title: 'Queue',
    description: `The most ${what}; one more fails at once (\`queue-full\`).`,
    default: 10_000,
    minimum: 1,
    maximum: 1_000_000,
    ui: { icon: 'fa-tasks', unit },
  }),
  maxQueueBytes: Type.Integer({
    title: 'Memory',
    description: `The most bytes of ${what}; one more fails at once (\`queue-full\`).`,
    default: 268_435_456,
    minimum: 65_536,
    maximum: 4_294_967_296,
    ui: { icon: 'fa-database', unit: 'bytes' },
  }),
});

interface When {
  readonly field: string;
  readonly is: readonly string[];
}

/** How much a sink keeps on this machine's disk. @param when - where these are asked for; always without it */
export const spoolSizeFields = (when?: When) => ({
  spoolMaxBytes: Type.Integer({
    title: 'Spool size',
    description: 'The most bytes in the spool; the room is used again, and given back once it is empty.',
    default: 1_073_741_824,
    minimum: 65_536,
    maximum: 1_099_511_627_776,
    ui: { icon: 'fa-hdd-o', unit: 'bytes', ...(when && { when }) },
  }),
  spoolWhenFull: Type.Union(
    [
      Type.Literal('block', { title: 'block: take nothing more until there is room' }),
      Type.Literal('drop-oldest', { title: 'drop the oldest, counted' }),
    ],
    {
      title: 'When full',
      description:
        'What a full spool does with one message more: it waits where it came from (a broker keeps it), or the oldest ones are lost for it.',
      default: 'block',
      ui: { icon: 'fa-hdd-o', ...(when && { when }), warnWhen: ['drop-oldest'] },
    },
  ),
});

/** What a sink keeps on this machine's disk. @param server - `the database` */
export const spoolFields = (server: string) => ({
  spool: Type.Union(
    [
      Type.Literal('off', { title: 'off' }),
      Type.Literal('when-down', { title: `when ${server} is down` }),
      Type.Literal('always', { title: 'always' }),
    ],
    {
      title: 'Spool',
      description: `When messages are kept on this machine's disk until ${server} takes them, which is as good as stored to who waits for them. Off: they wait in memory.`,
      default: 'when-down',
      ui: { icon: 'fa-hdd-o' },
    },
  ),
  ...spoolSizeFields({ field: 'spool', is: ['when-down', 'always'] }),
});
