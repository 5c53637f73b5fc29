import 'reflect-metadata';
import { runWorker } from '@segue/worker';
import { readConfig } from './config.js';
import { GenerateModule, GenerateProcessor } from './generate.module.js';

await runWorker(readConfig, {
  name: 'llm-worker',
  stage: 'generate',
  module: GenerateModule,
  worker: GenerateProcessor,
});
