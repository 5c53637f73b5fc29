import 'reflect-metadata';
import { runWorker } from '@segue/worker';
import { readConfig } from './config.js';
import { DecodeModule, DecodeProcessor } from './decode.module.js';

await runWorker(readConfig, { name: 'decoder-worker', stage: 'decode', module: DecodeModule, worker: DecodeProcessor });
