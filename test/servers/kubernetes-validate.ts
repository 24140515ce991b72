/** `kubernetes-validate`: Kubernetes' own schemas, of many versions, and the program that holds manifests against them. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { built, run, type TestServer } from './server.js';

const VERSION = '1.37.0';

interface Validated {
  /** `file.yaml kind/name` */
  readonly passed: readonly string[];
  /** The lines that say what is wrong; of a kind without a schema, too. */
  readonly findings: readonly string[];
}

interface KubernetesValidate extends TestServer {
  /** Unknown fields are findings. @param version - of Kubernetes: `1.33` */
  validate(version: string, folder: string, files: readonly string[]): Promise<Validated>;
}

/** Throws `ServerMissing` where there is no Python with pip, or it cannot be downloaded. */
export async function startKubernetesValidate(): Promise<KubernetesValidate> {
  const packages = await built(`kubernetes-validate-${VERSION}`, ['python3'], async (folder) => {
    const target = join(folder, 'packages');
    const options = ['--quiet', '--disable-pip-version-check', '--target', target];
    await run('kubernetes-validate', folder, 'python3', [
      ...['-m', 'pip', 'install', ...options, `kubernetes-validate==${VERSION}`],
    ]);
    return target;
  });
  return {
    url: packages,
    validate: async (version, folder, files) => {
      const command = ['-m', 'kubernetes_validate', '--strict', '-k', version, ...files];
      const env = { ...process.env, PYTHONPATH: packages };
      // It ends with 1 on any finding, which is in what it has printed.
      const { stdout } = await promisify(execFile)('python3', command, { cwd: folder, env }).catch(
        (error: unknown) => error as { stdout: string },
      );
      const lines = stdout.trim().split('\n');
      return {
        passed: lines.flatMap(
          (line) => /^INFO (\S+) passed for resource (\S+) /.exec(line)?.slice(1, 3).join(' ') ?? [],
        ),
        findings: lines.filter((line) => !line.startsWith('INFO ')),
      };
    },
    stop: () => Promise.resolve(),
  };
}
