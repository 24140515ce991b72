/** A real S3 server, which checks signatures, rights and checksums as AWS does: no S3 server on npm does. */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { findOnPath, freePort, goTool, startProcess, type ServerProcess, type TestServer } from './server.js';

const VERSION = 'v1.8.0';
const REGION = 'us-east-1';
const BUCKET = 'sluice';

export interface S3Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface Versitygw extends TestServer {
  /** `s3://bucket?endpoint=…&region=…&pathStyle=true`; the bucket exists. */
  readonly url: string;
  readonly credentials: S3Credentials;
  /** The same, as the AWS SDK's own chain reads them from the environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** One that belongs to the test, which may stop it and start it again on the same port and data. */
export interface OwnVersitygw extends Versitygw {
  readonly port: number;
  /** A new account, which has no right to anything that nobody gives it. */
  addUser(): Promise<S3Credentials>;
  /** SIGKILL, as a crash. */
  kill(): Promise<void>;
  restart(): Promise<void>;
}

/**
 * The server that the environment names in VERSITYGW_URL (an address as in `Versitygw.url`, its credentials in
 * AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), which is left running; else one of our own. Throws `ServerMissing`.
 */
export async function startVersitygw(): Promise<Versitygw> {
  const given = process.env['VERSITYGW_URL'];
  if (given === undefined || given === '') return startOwnVersitygw();
  const credentials = {
    accessKeyId: process.env['AWS_ACCESS_KEY_ID'] ?? '',
    secretAccessKey: process.env['AWS_SECRET_ACCESS_KEY'] ?? '',
  };
  return { url: given, credentials, env: asEnvironment(credentials), stop: () => Promise.resolve() };
}

/** The program: from the PATH, else built by Go. Throws `ServerMissing`. */
export async function versitygwProgram(): Promise<string> {
  const package_ = 'github.com/versity/versitygw/cmd/versitygw';
  return (await findOnPath('versitygw')) ?? goTool({ name: 'versitygw', package: package_, version: VERSION });
}

/** versitygw on a free port and an empty folder. Throws `ServerMissing`. */
export async function startOwnVersitygw(): Promise<OwnVersitygw> {
  const command = await versitygwProgram();
  const directory = await mkdtemp(join(tmpdir(), 'sluice-versitygw-'));
  const data = join(directory, 'data');
  const metadata = join(directory, 'metadata');
  // In the posix backend a folder of the data folder is a bucket.
  await mkdir(join(data, BUCKET), { recursive: true });
  await mkdir(metadata);
  const accounts = join(directory, 'accounts');
  await mkdir(accounts);
  const port = await freePort();
  const credentials = { accessKeyId: 'sluice-test', secretAccessKey: randomBytes(24).toString('hex') };
  const start = (): Promise<ServerProcess> =>
    startProcess({
      command,
      // Extended attributes would need a file system that has them: the sidecar folder does not.
      args: [
        ...['--port', `127.0.0.1:${port}`, '--region', REGION, '--iam-dir', accounts],
        ...['posix', '--sidecar', metadata, data],
      ],
      env: { ROOT_ACCESS_KEY: credentials.accessKeyId, ROOT_SECRET_KEY: credentials.secretAccessKey },
      cwd: directory,
      port,
    });
  let server = await start();
  const endpoint = encodeURIComponent(`http://127.0.0.1:${port}`);
  return {
    url: `s3://${BUCKET}?endpoint=${endpoint}&region=${REGION}&pathStyle=true`,
    credentials,
    env: asEnvironment(credentials),
    port,
    addUser: async () => {
      const user = {
        accessKeyId: `user-${randomBytes(4).toString('hex')}`,
        secretAccessKey: randomBytes(24).toString('hex'),
      };
      const account = ['--access', user.accessKeyId, '--secret', user.secretAccessKey, '--role', 'user'];
      await promisify(execFile)(command, ['admin', 'create-user', ...account], {
        env: {
          ADMIN_ACCESS_KEY: credentials.accessKeyId,
          ADMIN_SECRET_KEY: credentials.secretAccessKey,
          ADMIN_ENDPOINT_URL: `http://127.0.0.1:${port}`,
          ADMIN_REGION: REGION,
        },
      });
      return user;
    },
    kill: () => server.kill(),
    restart: async () => {
      await server.stop();
      server = await start();
    },
    stop: async () => {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function asEnvironment({ accessKeyId, secretAccessKey }: S3Credentials): Record<string, string> {
  return { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
}
