import { fileURLToPath } from 'node:url';

/** The bundle with random weights that tests run real graphs with: `models/tiny-random`. */
export const TINY_BUNDLE_DIR = fileURLToPath(new URL('../../../models/tiny-random', import.meta.url));
