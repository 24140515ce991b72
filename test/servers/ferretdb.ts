/** A real server that speaks MongoDB's protocol, for what only a second implementation can tell. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort, goTool, startProcess, type TestServer } from './server.js';

/** Not 1.24.1: its Go module does not build as a dependency. */
const VERSION = 'v1.24.0';

const MAIN = `package main

import (
	"context"
	"log"
	"os"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	config := &ferretdb.Config{Handler: "sqlite", SQLiteURL: "file:" + os.Args[2] + "/"}
	config.Listener.TCP = os.Args[1]
	server, err := ferretdb.New(config)
	if err != nil {
		log.Fatal(err)
	}
	if err = server.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
}
`;

/**
 * FerretDB v1.24.0 on a free port and an empty folder; or the server that the environment names in FERRETDB_URL,
 * which is left running. Throws `ServerMissing`.
 */
export async function startFerretDB(): Promise<TestServer> {
  const given = process.env['FERRETDB_URL'];
  if (given !== undefined && given !== '') return { url: given, stop: () => Promise.resolve() };

  const command = await goTool({
    name: 'ferretdb',
    package: 'github.com/FerretDB/FerretDB/ferretdb',
    version: VERSION,
    mainSource: MAIN,
  });
  const directory = await mkdtemp(join(tmpdir(), 'sluice-ferretdb-'));
  const port = await freePort();
  const server = await startProcess({ command, args: [`127.0.0.1:${port}`, directory], cwd: directory, port });
  return {
    url: `mongodb://127.0.0.1:${port}/`,
    stop: async () => {
      await server.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
