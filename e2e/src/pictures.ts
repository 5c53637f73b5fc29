import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TINY_BUNDLE_DIR } from '@segue/testing';

/** Pictures and questions that the tiny bundle's golden cases use. */
export const WIDE = readFileSync(join(TINY_BUNDLE_DIR, 'golden/wide.png'));
export const TALL = readFileSync(join(TINY_BUNDLE_DIR, 'golden/tall.png'));

/** The tiny bundle answers it on WIDE with five segments and words after the last one. */
export const MANY_SEGMENTS = 'Segment the red ball and the tree.';
/** The tiny bundle answers it on TALL with words alone. */
export const NO_SEGMENT = 'What is here?';
