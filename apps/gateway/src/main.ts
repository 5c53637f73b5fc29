import { runService } from '@segue/service';
import { readConfig } from './config.js';
import { gatewayService } from './service.js';

await runService(readConfig, gatewayService);
