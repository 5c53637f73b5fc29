import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root folder. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What a local run leaves behind: Redis's data, the address of the running service. Not under version control. */
export const STATE_FOLDER = join(ROOT, '.segue');

/** What is dear to make and serves later runs, from other clones too. */
export const CACHE_FOLDER = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'segue');

/** The HTTP address (URL) of the service that `npm start` runs, for `npm run ask`. */
export const ADDRESS_FILE = join(STATE_FOLDER, 'address');
