import { runWorker } from '@segue/worker';
import { readConfig } from './config.js';
import { EncodeProcessor } from './encode.processor.js';

await runWorker({
  name: 'encoder-worker',
  readConfig,
  stage: 'encode',
  worker: ({ config }) => new EncodeProcessor(config),
});
