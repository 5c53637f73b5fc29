import { setTimeout as sleep } from 'node:timers/promises';
import type { ServiceContext } from './service.js';

const LOOK_EVERY_MS = 500;
const FIRST_PAUSE_MS = 100;

/**
 * Waits, while a service warms up, until it can use something; its log and its readiness say meanwhile what keeps it from that.
 * @param problem looks; undefined when there is none.
 */
export async function waitFor(
  { lifecycle, logger }: Pick<ServiceContext, 'lifecycle' | 'logger'>,
  problem: () => Promise<string | undefined>,
): Promise<void> {
  // A connection that was opened just now is no problem yet.
  for (let pauseMs = FIRST_PAUSE_MS; lifecycle.state === 'warming'; pauseMs = LOOK_EVERY_MS) {
    const found = await problem();
    if (found === undefined) break;
    if (pauseMs === LOOK_EVERY_MS && found !== lifecycle.waitsFor) {
      lifecycle.waitsFor = found;
      logger.warn(`waiting: ${found}`);
    }
    await sleep(pauseMs);
  }
  lifecycle.waitsFor = undefined;
}
