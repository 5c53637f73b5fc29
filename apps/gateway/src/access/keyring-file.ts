import { readFile } from 'node:fs/promises';
import { follow, type Followed } from '@segue/core';
import type { Logger } from '@segue/service';
import { Keyring, parseKeyring } from './keyring.js';

/** Reads the file and follows its changes; while one cannot be read, the keys before it hold. @throws SegueError INVALID_ARGUMENT */
export function followKeyring(path: string, logger: Logger): Promise<Followed<Keyring>> {
  return follow({
    read: () => readFile(path, 'utf8'),
    isSame: (a, b) => a === b,
    make: (text) => new Keyring(parseKeyring(text)),
    onChange: () => logger.info({ path }, 'API keys were read again'),
    onError: (error) =>
      logger.error({ err: error, path }, 'the API keys were changed but cannot be read: the old ones hold'),
  });
}
