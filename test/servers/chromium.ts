/** A real browser: Debian's Chromium, without a window, driven by playwright-core. */
import { existsSync } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';
import { findOnPath, ServerMissing } from './server.js';

/** What it would otherwise ask of hosts that are none of the test's. */
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export interface TestBrowser {
  readonly browser: Browser;
  stop(): Promise<void>;
}

/** The browser that CHROMIUM names, else the one on the PATH. Throws `ServerMissing`. */
export async function startChromium(): Promise<TestBrowser> {
  const executablePath = process.env['CHROMIUM'] ?? (await findOnPath('chromium')) ?? '';
  if (!existsSync(executablePath)) {
    throw new ServerMissing(
      'there is no "chromium" on the PATH: install it (Debian: apt-get install chromium), or name one in CHROMIUM',
    );
  }
  const browser = await chromium.launch({ executablePath, args: ARGUMENTS });
  return { browser, stop: () => browser.close() };
}
