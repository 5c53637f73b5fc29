import { runWorker } from '@segue/worker';
import { readConfig } from './config.js';
import { DecodeProcessor } from './decode.processor.js';

await runWorker({
  name: 'decoder-worker',
  readConfig,
  stage: 'decode',
  worker: () => new DecodeProcessor(),
});
