import { defineConfig, pictureSettings } from '@segue/service';
import { tensorHostSettings, workerSettings } from '@segue/worker';

export const readConfig = defineConfig({
  ...workerSettings({ httpPort: 8081, concurrency: 4 }),
  ...tensorHostSettings,
  ...pictureSettings,
});
export type EncoderConfig = ReturnType<typeof readConfig>;
