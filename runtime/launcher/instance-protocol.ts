import type { InstanceReport } from '../fleet/report/instance-report.js';
import type { WorkersNode } from '../fleet/report/node-report.js';

/** What a launcher gives an instance process at its start: by a message, since a command line is there for all to read. */
export interface InstanceOptions {
  readonly userDir: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly credentialSecret: string;
  /** Lets its owner in at the admin API. */
  readonly token: string;
  /** bcrypt; undefined: the admin API is open to whoever reaches the address. */
  readonly passwordHash?: string;
  /** Undefined: the instance runs alone. */
  readonly fleet?: FleetOptions;
}

/** What makes an instance a member of a fleet. */
export interface FleetOptions {
  readonly fleet: string;
  readonly slot: number;
  /** `mqtt://` or `mqtts://`, with user and password where the broker asks for them. */
  readonly brokerUrl: string;
  readonly secret: string;
  /** On another machine than the editor's: an address of the flow must be one that it can reach from there. */
  readonly remote?: boolean;
}

export type InstanceRequest =
  | { readonly type: 'start'; readonly options: InstanceOptions }
  /** Finish what is under way and end. `leave`: and end the sessions at the broker, as one that does not come back. */
  | { readonly type: 'drain'; readonly leave?: boolean }
  /** To the editor instance of a fleet: there are workers who take what its devices send. */
  | { readonly type: 'begin' }
  /** To the editor instance of a fleet, every second: what runs on the workers, and how it does there. */
  | { readonly type: 'workers-nodes'; readonly nodes: readonly WorkersNode[] }
  /** Of the editor instance of a fleet; each is answered. */
  | { readonly type: 'history'; readonly id: number }
  | { readonly type: 'rollback'; readonly id: number; readonly revision: number; readonly author: string };

export type InstanceReply =
  | { readonly type: 'ready'; readonly url: string; readonly problem?: string }
  | { readonly type: 'port-taken'; readonly port: number }
  /** Of an instance of a fleet, every second, and last of all when it ends. */
  | { readonly type: 'report'; readonly report: InstanceReport }
  | { readonly type: 'answer'; readonly id: number; readonly value: unknown }
  | { readonly type: 'refusal'; readonly id: number; readonly sentence: string };
