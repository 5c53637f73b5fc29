import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root folder. */
export const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** What a local run leaves behind: Redis's data, the address of the running service. Not under version control. */
export const STATE_FOLDER = join(ROOT, '.segue');

/** The HTTP address (URL) of the service that `npm start` runs, for `npm run ask`. */
export const ADDRESS_FILE = join(STATE_FOLDER, 'address');
