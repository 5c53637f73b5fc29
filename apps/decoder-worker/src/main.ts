import { runWorker } from '@segue/worker';
import { readConfig } from './config.js';
import { openStage } from './open-stage.js';

await runWorker({ name: 'decoder-worker', readConfig, stage: 'decode', openStage });
