/**
 * deploy/kubernetes. There is no cluster where the tests run: the manifests are held against Kubernetes' schemas, and what they
 * name against the product, which test/fleet/containers.test.ts runs with the same commands and environments.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { fleetMetrics } from '../runtime/fleet/launcher/metrics.js';
import type { FleetStatus } from '../runtime/fleet/launcher/status.js';
import { totalOf } from '../runtime/fleet/report/instance-report.js';
import { startKubernetesValidate } from './servers/kubernetes-validate.js';
import { describeWithServer } from './servers/server.js';
import { runSluice, temporaryFolder } from './sluice.js';

const ROOT = join(import.meta.dirname, '..');
const FOLDER = join(ROOT, 'deploy/kubernetes');
const read = (file: string): string => readFileSync(join(FOLDER, file), 'utf8');

interface EnvironmentEntry {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: {
    readonly secretKeyRef?: { readonly name: string; readonly key: string };
    readonly fieldRef?: { readonly fieldPath: string };
  };
}
interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}
interface ContainerSpec {
  readonly name: string;
  readonly image: string;
  readonly env: readonly EnvironmentEntry[];
  readonly envFrom: readonly { readonly configMapRef: { readonly name: string } }[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly startupProbe: Probe;
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly lifecycle?: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } };
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[];
}
type Labels = Readonly<Record<string, string>>;
interface Template {
  readonly metadata: { readonly labels: Labels };
  readonly spec: {
    readonly serviceAccountName?: string;
    readonly terminationGracePeriodSeconds: number;
    readonly containers: readonly [ContainerSpec];
    readonly volumes: readonly {
      readonly name: string;
      readonly secret: { readonly secretName: string; readonly items: readonly { key: string; path: string }[] };
    }[];
  };
}
interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data?: Labels;
  readonly stringData?: Labels;
  readonly rules?: readonly { readonly resourceNames: readonly string[]; readonly verbs: readonly string[] }[];
  readonly spec: {
    readonly replicas?: number;
    readonly ordinals?: { readonly start: number };
    readonly serviceName: string;
    readonly selector: Labels & { readonly matchLabels: Labels };
    readonly template: Template;
    readonly ports: readonly { readonly targetPort: string }[];
    readonly volumeClaimTemplates: readonly { readonly metadata: { readonly name: string } }[];
    readonly scaleTargetRef: { readonly kind: string; readonly name: string };
    readonly metrics: readonly {
      readonly external: { readonly metric: { name: string; selector: { matchLabels: Labels } } };
    }[];
  };
}

const { resources } = parse(read('kustomization.yaml')) as { resources: string[] };
const FILES = [...resources, 'secret.example.yaml'];
const MANIFESTS = FILES.flatMap((file) => parseAllDocuments(read(file)).map((one) => one.toJS() as Manifest));

function manifest(kind: string, name: string): Manifest {
  const found = MANIFESTS.find((one) => one.kind === kind && one.metadata.name === name);
  assert.ok(found, `${kind} ${name}`);
  return found;
}
const editor = manifest('StatefulSet', 'sluice-editor');
const worker = manifest('StatefulSet', 'sluice-worker');
const containerOf = ({ spec }: Manifest): ContainerSpec => spec.template.spec.containers[0];

describeWithServer('the manifests for Kubernetes', startKubernetesValidate, (tool) => {
  for (const version of ['1.28', '1.37']) {
    it(`are what the schemas of ${version} ask for, and have nothing else`, async () => {
      const { passed, findings } = await tool().validate(version, FOLDER, FILES);
      assert.deepEqual(findings, []);
      assert.equal(passed.length, MANIFESTS.length);
    });
  }

  it('would be refused with a field that there is not, a wrong value, or a kind that is unknown', async () => {
    const folder = temporaryFolder();
    const faults: [from: string, to: string, finding: RegExp][] = [
      ['livenessProbe:', 'livenesProbe:', /'livenesProbe' was unexpected/],
      ['start: 1', "start: 'one'", /'one' is not of type/],
      ['policy/v1', 'policy/v9', /Couldn't find schema for kind PodDisruptionBudget/],
      ['maxUnavailable: 1\n', 'maxUnavailable: 1\n  replicas: 1\n', /'replicas' was unexpected/],
      ['containerPort: 1880', 'port: 1880', /'containerPort' is a required property|'port' was unexpected/],
    ];
    cpSync(FOLDER, folder.path, { recursive: true });
    for (const [from, to, finding] of faults) {
      const wrong = read('worker.yaml').replace(from, to);
      assert.notEqual(wrong, read('worker.yaml'));
      writeFileSync(join(folder.path, 'worker.yaml'), wrong);
      const { findings } = await tool().validate('1.37', folder.path, ['worker.yaml']);
      assert.match(findings.join('\n'), finding);
    }
    folder.remove();
  });
});

describe('deploy/kubernetes', () => {
  it('has no manifest that is not applied, but the example of a secret, in which there is none', () => {
    const all = readdirSync(FOLDER).filter((file) => file.endsWith('.yaml') && file !== 'kustomization.yaml');
    assert.deepEqual(all.sort(), [...FILES].sort());
    const values = Object.values(manifest('Secret', 'sluice').stringData ?? {});
    assert.ok(values.length > 0 && values.every((value) => value === ''));
  });

  it('gives the product variables that it reads, from keys and files that there are', () => {
    const code = execFileSync('git', ['grep', '-hoE', '\\bSLUICE_[A-Z_]+\\b', '--', 'runtime', 'nodes'], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    // The S3 client's own, and those that the default flow asks for.
    const flow = readFileSync(join(ROOT, 'flows/devices-to-mongo-and-s3.json'), 'utf8');
    const asked = [...flow.matchAll(/\$\{([A-Z0-9_]+)\}/g)].map(([, name]) => name ?? '');
    const known = new Set([...code.split('\n'), ...asked, 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']);
    const config = manifest('ConfigMap', 'sluice').data ?? {};
    for (const name of asked) assert.ok(name in config, name);
    const secret = manifest('Secret', 'sluice').stringData ?? {};
    for (const set of [editor, worker]) {
      const { env, envFrom, volumeMounts } = containerOf(set);
      assert.deepEqual(envFrom, [{ configMapRef: { name: 'sluice' } }]);
      for (const name of [...env.map((one) => one.name), ...Object.keys(config)]) assert.ok(known.has(name), name);
      for (const { name, valueFrom } of env) {
        if (valueFrom?.secretKeyRef === undefined) continue;
        assert.equal(valueFrom.secretKeyRef.name, 'sluice', name);
        assert.ok(valueFrom.secretKeyRef.key in secret, name);
      }
      const [volume] = set.spec.template.spec.volumes;
      const mount = volumeMounts.find(({ name }) => name === volume?.name);
      const [item] = volume?.secret.items ?? [];
      assert.ok((item?.key ?? '') in secret);
      const file = env.find(({ name }) => name === 'SLUICE_FLEET_SECRET_FILE')?.value;
      assert.equal(file, `${mount?.mountPath ?? ''}/${item?.path ?? ''}`);
    }
  });

  it('numbers workers from 1, by the label that Kubernetes gives their pods, each with a volume where the image keeps its data', () => {
    assert.equal(worker.spec.ordinals?.start, 1);
    const slot = containerOf(worker).env.find(({ name }) => name === 'SLUICE_SLOT');
    assert.equal(slot?.valueFrom?.fieldRef?.fieldPath, "metadata.labels['apps.kubernetes.io/pod-index']");
    assert.equal(editor.spec.replicas, 1);
    assert.equal(worker.spec.replicas, undefined, 'the autoscaler has it');
    const data = /^VOLUME (.*)$/m.exec(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'))?.[1];
    for (const set of [editor, worker]) {
      const [claim] = set.spec.volumeClaimTemplates;
      const mount = containerOf(set).volumeMounts.find(({ name }) => name === claim?.metadata.name);
      assert.equal(mount?.mountPath, data);
    }
  });

  it('selects the pods that it describes, at ports that they have', () => {
    for (const [set, role] of [
      [editor, 'editor'],
      [worker, 'worker'],
    ] as const) {
      const { template, selector, serviceName } = set.spec;
      assert.deepEqual(selector.matchLabels, template.metadata.labels);
      assert.equal(containerOf(set).env.find(({ name }) => name === 'SLUICE_ROLE')?.value, role);
      const service = manifest('Service', serviceName);
      assert.deepEqual(service.spec.selector, template.metadata.labels);
      const names = containerOf(set).ports.map(({ name }) => name);
      assert.deepEqual(
        service.spec.ports.map(({ targetPort }) => targetPort),
        names,
      );
      const { startupProbe, livenessProbe, readinessProbe } = containerOf(set);
      for (const { httpGet } of [startupProbe, livenessProbe, readinessProbe]) assert.ok(names.includes(httpGet.port));
    }
    const exposed = /^EXPOSE (.*)$/m.exec(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'))?.[1]?.split(' ');
    assert.deepEqual(
      containerOf(editor).ports.map(({ containerPort }) => String(containerPort)),
      exposed,
    );
    assert.deepEqual(
      manifest('PodDisruptionBudget', 'sluice-worker').spec.selector.matchLabels,
      worker.spec.template.metadata.labels,
    );
  });

  it('asks before a stop what the image can answer, of the StatefulSet that it may read', async () => {
    const [node, program, ...parameters] = containerOf(worker).lifecycle?.preStop.exec.command ?? [];
    const entry = /^ENTRYPOINT (.*)$/m.exec(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'))?.[1] ?? '';
    assert.deepEqual([node, program], JSON.parse(entry));
    assert.ok(parameters.includes(worker.metadata.name));
    // It knows the command, and misses what only a pod has.
    const { code, stderr } = await runSluice(parameters);
    assert.equal(code, 1);
    assert.match(stderr, /expected SLUICE_SLOT to be set, as in a worker's pod/);
    const [rule] = manifest('Role', worker.spec.template.spec.serviceAccountName ?? '').rules ?? [];
    assert.ok(rule);
    assert.deepEqual(rule.resourceNames, [worker.metadata.name]);
    assert.deepEqual(rule.verbs, ['get']);
  });

  it('scales the workers by a metric that the editor has', async () => {
    const { scaleTargetRef, metrics } = manifest('HorizontalPodAutoscaler', 'sluice-worker').spec;
    assert.deepEqual([scaleTargetRef.kind, scaleTargetRef.name], ['StatefulSet', worker.metadata.name]);
    const { name, selector } = metrics[0]!.external.metric;
    const status: FleetStatus = {
      fleet: 'sluice',
      pid: process.pid,
      editor: '',
      broker: { url: '', connected: true },
      slots: [],
      ledger: totalOf([]),
      balanced: true,
      dangers: [],
      forged: 0,
    };
    const text = await fleetMetrics(status, { window: 0.5 });
    const labels = Object.entries(selector.matchLabels).map(([label, value]) => `${label}="${value}"`);
    assert.match(text, new RegExp(`^${name}\\{${labels.join(',')}\\} 0\\.5$`, 'm'));
    assert.equal(manifest('ConfigMap', 'sluice').data?.['SLUICE_FLEET'], selector.matchLabels['fleet']);
  });
});
