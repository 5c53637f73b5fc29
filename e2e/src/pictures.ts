import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TINY_BUNDLE_DIR } from '@segue/testing';

/** Pictures and questions that the tiny bundle's golden cases use. */
export const WIDE = readFileSync(join(TINY_BUNDLE_DIR, 'golden/wide.png'));
export const TALL = readFileSync(join(TINY_BUNDLE_DIR, 'golden/tall.png'));

/** The tiny bundle answers it on WIDE at length, with two segments. */
export const MANY_SEGMENTS = 'What is here?';
/** The tiny bundle answers it on TALL with words alone. */
export const NO_SEGMENT = 'What is here?';
