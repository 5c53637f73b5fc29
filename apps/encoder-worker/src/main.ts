import 'reflect-metadata';
import { runWorker } from '@segue/worker';
import { readConfig } from './config.js';
import { EncodeModule, EncodeProcessor } from './encode.module.js';

await runWorker(readConfig, { name: 'encoder-worker', stage: 'encode', module: EncodeModule, worker: EncodeProcessor });
