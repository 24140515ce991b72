import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { messageOf, UserError } from '../../launcher/user-error.js';

/** How many pods Kubernetes is to run of a StatefulSet, and the ordinal of the first. */
export interface StatefulSet {
  readonly replicas: number;
  readonly start: number;
}

export interface StatefulSetPlace {
  readonly name: string;
  /** `host:port` of the Kubernetes API. */
  readonly address: string;
  /** A folder with `ca.crt`, `namespace` and `token`, as Kubernetes mounts it in a pod. */
  readonly serviceAccount: string;
}

const ANSWER_WITHIN_MS = 5_000;

/**
 * Whether the pod with an ordinal is to come back. Of no pods at all, the last ones keep their sessions: what is published
 * meanwhile would be lost.
 */
export function isWanted(ordinal: number, { replicas, start }: StatefulSet): boolean {
  return replicas === 0 || ordinal < start + replicas;
}

/** @throws UserError when the Kubernetes API does not say */
export async function readStatefulSet({ name, address, serviceAccount }: StatefulSetPlace): Promise<StatefulSet> {
  const [ca, namespace, token] = await Promise.all(
    ['ca.crt', 'namespace', 'token'].map((file) => readFile(join(serviceAccount, file), 'utf8')),
  ).catch((error: unknown) => {
    throw unknown(name, messageOf(error));
  });
  const url = `https://${address}/apis/apps/v1/namespaces/${namespace?.trim() ?? ''}/statefulsets/${name}`;
  const headers = { Authorization: `Bearer ${token?.trim() ?? ''}`, Accept: 'application/json' };
  const asked = request(url, { ca, headers, signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  asked.end();
  try {
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    const body = await text(answer);
    if (answer.statusCode !== 200) throw new Error(`HTTP ${String(answer.statusCode)}`);
    return decode(body);
  } catch (error) {
    throw unknown(name, messageOf(error));
  }
}

/** https://kubernetes.io/docs/reference/generated/kubernetes-api/v1.33/#statefulsetspec-v1-apps: both have a default. */
function decode(body: string): StatefulSet {
  const { spec } = JSON.parse(body) as { spec?: { replicas?: number; ordinals?: { start?: number } } };
  return { replicas: spec?.replicas ?? 1, start: spec?.ordinals?.start ?? 0 };
}

function unknown(name: string, why: string): UserError {
  return new UserError(
    `expected the Kubernetes API to say how many pods the StatefulSet ${name} is to have, got ${why}: the worker keeps its slot`,
  );
}
