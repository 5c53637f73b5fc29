import { runWorker } from '@segue/worker';
import { readConfig } from './config.js';
import { openStage } from './open-stage.js';

await runWorker({ name: 'llm-worker', readConfig, stage: 'generate', openStage });
