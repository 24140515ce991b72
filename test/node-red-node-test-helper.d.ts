declare module 'node-red-node-test-helper' {
  const helper: {
    startServer(done: () => void): void;
    stopServer(done: () => void): void;
    load(nodes: never, flow: never, credentials: never): Promise<void>;
    unload(): Promise<void>;
    getNode(id: string): unknown;
    log(): { args: [unknown][] };
    url(): string;
    request(): unknown;
    settings(settings: Record<string, unknown>): void;
  };
  export default helper;
}
