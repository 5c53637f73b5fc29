import { defineConfig } from '@segue/service';
import { workerSettings } from '@segue/worker';

export const readConfig = defineConfig(workerSettings({ httpPort: 8083, concurrency: 4 }));
export type DecoderConfig = ReturnType<typeof readConfig>;
