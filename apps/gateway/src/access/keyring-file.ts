import { readFile } from 'node:fs/promises';
import { startPeriodic } from '@segue/core';
import type { Logger } from '@segue/service';
import { Keyring, parseKeyring } from './keyring.js';

/** A file is looked at so often; a Secret of Kubernetes is replaced by a link, of which no watcher hears. */
const LOOK_EVERY_MS = 1_000;

/** A keyring that follows its file. */
export interface FollowedKeyring {
  readonly current: Keyring;
  stop(): Promise<void>;
}

/** Reads the file and follows its changes; while one cannot be read, the keys before it hold. @throws SegueError INVALID_ARGUMENT */
export async function followKeyring(path: string, logger: Logger): Promise<FollowedKeyring> {
  let text = await readFile(path, 'utf8');
  let current = new Keyring(parseKeyring(text));
  let refused = '';
  const following = startPeriodic({
    everyMs: LOOK_EVERY_MS,
    async run() {
      const next = await readFile(path, 'utf8');
      if (next === text || next === refused) return;
      refused = next;
      current = new Keyring(parseKeyring(next));
      [text, refused] = [next, ''];
      logger.info({ path }, 'API keys were read again');
    },
    onError: (error) =>
      logger.error({ err: error, path }, 'the API keys were changed but cannot be read: the old ones hold'),
  });
  return {
    get current() {
      return current;
    },
    stop: () => following.stop(),
  };
}
