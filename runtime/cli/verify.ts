import { Command, Option } from 'commander';
import { ConfigError, FAULTS } from '@sluice/node-red/simulator';
import { UserError } from '../launcher/user-error.js';
import { readManifest } from '../verify/manifest.js';
import { isRight, reportText } from '../verify/report.js';
import { openSink, type Sink } from '../verify/sink.js';
import { Tally, type Findings } from '../verify/tally.js';
import { verify } from '../verify/verify.js';
import { faultNames, positive } from './options.js';

export interface VerifyOptions {
  readonly collection: string;
  readonly verifyWithin: number;
  readonly rejected: ReadonlySet<string>;
}

type Say = (text: string) => void;

const LOGIN = `  SLUICE_MONGODB_USER, SLUICE_MONGODB_PASSWORD   the login at a MongoDB server
  AWS_ACCESS_KEY_ID, …                           of a bucket: the AWS SDK's own chain`;

export function verifyCommand(): Command {
  return withVerifyOptions(new Command('verify'))
    .description('Compare what a sink has stored with the manifest of a simulation.')
    .argument('<uri>', 'the sink: mongodb://…, file:///… or s3://…')
    .requiredOption('--manifest <file>', 'what `sluice simulate --manifest` has written')
    .option('--json', 'print the findings as one line of JSON, and nothing else', false)
    .addHelpText(
      'after',
      `\nExit code 0: all is there, and nothing else; 1: not so; 2: a wrong option.\n\nEnvironment:\n${LOGIN}`,
    )
    .action(async (uri: string, options: VerifyOptions & { manifest: string; json: boolean }) => {
      const sink = sinkOf(uri, options);
      try {
        const tally = new Tally(options.rejected);
        await readManifest(options.manifest, tally);
        const say: Say = (text) => {
          if (!options.json) process.stderr.write(text);
        };
        const findings = await readBack(tally, sink, options, say);
        process.stdout.write(
          options.json ? `${JSON.stringify(findingsJson(findings, sink))}\n` : reportText(findings, sink.place),
        );
      } finally {
        await sink.close();
      }
    });
}

/** The options that a verification takes, of this command and of `sluice simulate`. */
export function withVerifyOptions(command: Command): Command {
  return command
    .option('--collection <name>', 'the collection, of a sink that is a MongoDB server', 'devices')
    .option('--verify-within <seconds>', 'how long to wait for what is not stored yet', positive, 30)
    .addOption(
      new Option(
        '--rejected <faults>',
        `the faults that the flow refuses, with commas between: ${FAULTS.join(', ')}; or none`,
      )
        .default(new Set(['malformed']), 'malformed')
        .argParser(faultNames),
    );
}

/** @throws UserError for a URI that is none of a sink */
export function sinkOf(uri: string, { collection }: Pick<VerifyOptions, 'collection'>): Sink {
  return explained(() => openSink(uri, collection));
}

/** Sets the exit code to 1 when the sink is not as it should be. @throws UserError when it cannot be read */
export async function readBack(tally: Tally, sink: Sink, options: VerifyOptions, say: Say): Promise<Findings> {
  say(`reading back ${sink.place}, for ${options.verifyWithin} s at most\n`);
  try {
    const findings = await verify(tally, sink, {
      withinMs: options.verifyWithin * 1_000,
      progress: (sentence) => say(`${sentence}\n`),
    });
    if (!isRight(findings)) process.exitCode = 1;
    return findings;
  } catch (error) {
    throw error instanceof ConfigError ? new UserError(error.message, { cause: error }) : error;
  }
}

export function findingsJson(findings: Findings, { place }: Sink): object {
  return { right: isRight(findings), place, ...findings };
}

function explained<T>(open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (error instanceof ConfigError) throw new UserError(error.message, { cause: error });
    throw error;
  }
}
