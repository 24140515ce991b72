/** What a launcher gives an instance process at its start. */
export interface InstanceOptions {
  readonly userDir: string;
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly credentialSecret: string;
  /** Lets its owner in at the admin API. */
  readonly token: string;
  /** bcrypt; undefined: the admin API is open to whoever reaches the address. */
  readonly passwordHash: string | undefined;
}

export type InstanceRequest = { readonly type: 'drain' };

export type InstanceReply =
  | { readonly type: 'ready'; readonly url: string; readonly problem: string | undefined }
  | { readonly type: 'port-taken'; readonly port: number };
