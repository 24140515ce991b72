#!/usr/bin/env node
// Says what is missing before anything is imported that an older Node.js does not have.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 15)) {
  console.error(`sluice: expected Node.js 22.15 or newer, got ${process.versions.node}`);
  process.exit(1);
}
await import('../dist/cli/main.js');
