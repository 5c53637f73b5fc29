import { runWorker } from '@segue/worker';
import { readConfig } from './config.js';
import { GenerateProcessor } from './generate.processor.js';

await runWorker({
  name: 'llm-worker',
  readConfig,
  stage: 'generate',
  worker: ({ config, metrics }) => new GenerateProcessor(config, metrics),
});
