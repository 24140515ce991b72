import { Command } from 'commander';
import { FleetChannel } from '../../fleet/channel.js';
import { askToLeave } from '../../fleet/joining/ask-to-leave.js';
import { isWanted, readStatefulSet } from '../../fleet/joining/stateful-set.js';
import { givenSecret } from '../../fleet/secret.js';
import { FleetTopics } from '../../fleet/topics.js';
import { environment } from '../../launcher/environment.js';
import { UserError } from '../../launcher/user-error.js';
import { say } from '../say.js';

interface Options {
  readonly statefulSet: string;
  readonly serviceAccount: string;
}

export function preStopCommand(): Command {
  return new Command('pre-stop')
    .description(
      'In a pod of a StatefulSet, before it is stopped: where that has been scaled down below its worker, the worker leaves ' +
        'the fleet for good. Else it is one that comes back, and keeps its slot.',
    )
    .requiredOption('--stateful-set <name>', 'the StatefulSet of the workers; SLUICE_SLOT is the ordinal of the pod')
    .option(
      '--service-account <dir>',
      "where the pod's token for the Kubernetes API is",
      '/var/run/secrets/kubernetes.io/serviceaccount',
    )
    .action(preStop);
}

async function preStop({ statefulSet, serviceAccount }: Options): Promise<void> {
  const slot = Number(expected('SLUICE_SLOT'));
  const address = `${expected('KUBERNETES_SERVICE_HOST')}:${expected('KUBERNETES_SERVICE_PORT')}`;
  const set = await readStatefulSet({ name: statefulSet, address, serviceAccount });
  if (isWanted(slot, set)) {
    process.stdout.write(`Worker ${slot} is one of the ${set.replicas} that are wanted: it keeps its slot.\n`);
    return;
  }
  const fleet = environment('SLUICE_FLEET') ?? 'sluice';
  const secret = givenSecret() ?? expected('SLUICE_FLEET_SECRET');
  const channel = await FleetChannel.connect({ fleet, slot, brokerUrl: expected('MQTT_URL'), secret }, say);
  try {
    await askToLeave(channel, new FleetTopics(fleet), slot);
  } finally {
    await channel.close();
  }
  process.stdout.write(`Worker ${slot} has left the fleet: ${set.replicas} are wanted.\n`);
}

function expected(name: string): string {
  const value = environment(name);
  if (value !== undefined) return value;
  throw new UserError(`expected ${name} to be set, as in a worker's pod, got nothing`);
}
