import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

/** This machine's Chromium, for pictures of the documentation. */
export function launchBrowser() {
  return chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-background-networking'] });
}
