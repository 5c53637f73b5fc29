import { defineConfig, pictureSettings, port } from '@segue/service';
import { workerSettings } from '@segue/worker';

export const readConfig = defineConfig({
  ...workerSettings({ httpPort: 8081, concurrency: 4 }),
  ...pictureSettings,
  tensorPort: port(50061),
});
export type EncoderConfig = ReturnType<typeof readConfig>;
