import { createRequire } from 'node:module';

const { version } = createRequire(import.meta.url)('../../package.json') as { readonly version: string };

/** What the Open Inference Protocol's clients are told of this server. */
export const SERVER = { name: 'segue', version, extensions: ['binary_tensor_data'] };
/** Of each model. */
export const PLATFORM = 'segue_reasoning_segmentation';
