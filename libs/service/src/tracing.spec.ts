import { createRequire } from 'node:module';
import { expect, it } from 'vitest';
import { defineConfig, serviceSettings } from './config.js';
import { Service } from './service.js';

const readConfig = defineConfig(serviceSettings({ httpPort: 0 }));
const { cache } = createRequire(import.meta.url);
const isLoaded = (): boolean => Object.keys(cache).some((path) => path.includes('@opentelemetry/sdk-trace-node'));

async function serve(env: Record<string, string>): Promise<void> {
  const config = readConfig({ SEGUE_LOG_LEVEL: 'silent', SEGUE_HOST: '127.0.0.1', ...env });
  const service = await Service.create('test', config, () => ({
    start: async () => undefined,
    stop: async () => undefined,
  }));
  await service.start();
  await service.close();
}

it("loads OpenTelemetry's SDK only where traces are wanted", async () => {
  await serve({});
  expect(isLoaded()).toBe(false);
  await serve({ SEGUE_TRACES_URL: 'http://127.0.0.1:9/v1/traces' });
  expect(isLoaded()).toBe(true);
});
