import { type Db, MongoServerError, type TimeSeriesCollectionOptions } from 'mongodb';

/** What a time-series collection is made with: https://www.mongodb.com/docs/manual/core/timeseries-collections/ */
export interface TimeSeries {
  readonly timeField: string;
  readonly metaField?: string | undefined;
  readonly granularity: 'seconds' | 'minutes' | 'hours';
  /** Seconds; in place of the granularity. */
  readonly bucketMaxSpan?: number | undefined;
  readonly expireAfterSeconds?: number | undefined;
}

/** What the server says of a collection (`listCollections`). */
interface Described {
  readonly type?: string;
  readonly options?: {
    readonly timeseries?: {
      readonly timeField?: string;
      readonly metaField?: string;
      readonly granularity?: string;
      readonly bucketMaxSpanSeconds?: number;
    };
    readonly expireAfterSeconds?: number;
  };
}

const NAMESPACE_EXISTS = 48;

/**
 * Makes a time-series collection where there is none of the name.
 *
 * A server that does not know the option may make a plain collection without a word, so what it has made is looked at.
 *
 * @returns how what is there differs from what was asked for; undefined when it does not
 * @throws what the driver throws
 */
export async function createTimeSeries(database: Db, name: string, wanted: TimeSeries): Promise<string | undefined> {
  const before = await describe(database, name);
  if (before !== undefined) return difference(before, wanted);
  try {
    await database.createCollection(name, {
      timeseries: optionsOf(wanted),
      ...(wanted.expireAfterSeconds === undefined ? {} : { expireAfterSeconds: wanted.expireAfterSeconds }),
    });
  } catch (error) {
    // Somebody was faster.
    if (!(error instanceof MongoServerError && error.code === NAMESPACE_EXISTS)) throw error;
  }
  const after = await describe(database, name);
  return after === undefined ? 'the server does not list it' : difference(after, wanted);
}

async function describe(database: Db, name: string): Promise<Described | undefined> {
  const [found] = await database.listCollections({ name }, { nameOnly: false }).toArray();
  return found;
}

function optionsOf({ timeField, metaField, granularity, bucketMaxSpan }: TimeSeries): TimeSeriesCollectionOptions {
  return {
    timeField,
    ...(metaField === undefined ? {} : { metaField }),
    // Given as both, as the server asks for (6.3 and newer).
    ...(bucketMaxSpan === undefined
      ? { granularity }
      : { bucketMaxSpanSeconds: bucketMaxSpan, bucketRoundingSeconds: bucketMaxSpan }),
  };
}

function difference({ type, options }: Described, wanted: TimeSeries): string | undefined {
  const there = options?.timeseries;
  if (type !== 'timeseries' || there === undefined) return 'it is a plain collection';
  const pairs: [string, unknown, unknown][] = [
    ['timeField', there.timeField, wanted.timeField],
    ['metaField', there.metaField, wanted.metaField],
    ['expireAfterSeconds', options?.expireAfterSeconds, wanted.expireAfterSeconds],
    wanted.bucketMaxSpan === undefined
      ? ['granularity', there.granularity, wanted.granularity]
      : ['bucketMaxSpanSeconds', there.bucketMaxSpanSeconds, wanted.bucketMaxSpan],
  ];
  const different = pairs.filter(([, is, asked]) => String(is) !== String(asked));
  if (different.length === 0) return undefined;
  return different.map(([option, is, asked]) => `${option} is ${String(is)}, not ${String(asked)}`).join(', ');
}
