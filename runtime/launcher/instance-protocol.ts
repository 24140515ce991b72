/** Which instance of which fleet a process is, and what it needs to speak with the others. */
export interface FleetMembership {
  readonly fleet: string;
  readonly slot: number;
  readonly brokerUrl: string;
  readonly secret: string;
}

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
  readonly fleet?: FleetMembership;
}

export type InstanceRequest =
  { readonly type: 'start'; readonly options: InstanceOptions } | { readonly type: 'drain' };

export type InstanceReply =
  | { readonly type: 'ready'; readonly url: string; readonly problem?: string }
  | { readonly type: 'port-taken'; readonly port: number };
