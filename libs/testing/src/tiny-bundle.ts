import { fileURLToPath } from 'node:url';

/** The bundle with random weights that tests run real graphs with: `models/tiny-random`. */
export const TINY_BUNDLE_DIR = fileURLToPath(new URL('../../../models/tiny-random', import.meta.url));

/** LISA at toy size with random weights, made from a checkpoint in the published format: `models/tiny-lisa`. */
export const TINY_LISA_DIR = fileURLToPath(new URL('../../../models/tiny-lisa', import.meta.url));
