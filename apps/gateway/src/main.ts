import { runService } from '@segue/service';
import { readConfig } from './config.js';
import { composeGateway } from './gateway.js';

await runService({ name: 'gateway', readConfig }, composeGateway);
