import { defineConfig } from '@segue/service';
import { tensorCacheSettings, workerSettings } from '@segue/worker';

export const readConfig = defineConfig({
  ...workerSettings({ httpPort: 8083, concurrency: 4 }),
  ...tensorCacheSettings,
});
export type DecoderConfig = ReturnType<typeof readConfig>;
