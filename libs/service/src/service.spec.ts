import { Inject, Module } from '@nestjs/common';
import { afterEach, describe, expect, it } from 'vitest';
import { defineConfig, serviceSettings } from './config.js';
import { CONFIG } from './service.module.js';
import { Service, type ServiceConfig, type ServiceOptions } from './service.js';

const config = defineConfig(serviceSettings({ httpPort: 0 }))({
  SEGUE_LOG_LEVEL: 'silent',
  SEGUE_HOST: '127.0.0.1',
  SEGUE_DRAIN_TIMEOUT_MS: '200',
});

@Module({})
class EmptyModule {
  constructor(@Inject(CONFIG) readonly config: ServiceConfig) {}
}

const running: Service[] = [];
async function service(hooks: Partial<ServiceOptions> = {}): Promise<Service> {
  const created = await Service.create({
    name: 'test',
    config,
    module: EmptyModule,
    start: async () => undefined,
    stop: async () => undefined,
    ...hooks,
  });
  running.push(created);
  return created;
}

afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.close()));
});

describe('Service', () => {
  it('is live but not ready while it warms up', async () => {
    let warm = (): void => undefined;
    const warmed = new Promise<void>((resolve) => (warm = resolve));
    let url = '';
    const one = await service({
      start: async (app) => {
        url = await app.getUrl();
        await warmed;
      },
    });
    const ready = one.start();
    await expect.poll(() => url).not.toBe('');
    expect((await fetch(`${url}/healthz/live`)).status).toBe(200);
    const early = await fetch(`${url}/healthz/ready`);
    expect([early.status, await early.json()]).toEqual([503, { state: 'warming' }]);
    warm();
    await ready;
    expect((await fetch(`${url}/healthz/ready`)).status).toBe(200);
  });

  it('gives the app its configuration and serves metrics', async () => {
    const one = await service();
    const url = await one.start();
    expect(one.app.get(EmptyModule).config).toBe(config);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('nodejs_eventloop_lag_seconds');
    expect(metrics).toContain('segue_service_state{state="ready",app="test"} 1');
  });

  it('drains once, and then serves nothing', async () => {
    let stops = 0;
    const one = await service({
      stop: async (_app, graceMs) => {
        stops++;
        expect(graceMs).toBe(200);
        expect(one.lifecycle.state).toBe('draining');
      },
    });
    const url = await one.start();
    expect(await Promise.all([one.close(), one.close()])).toEqual([true, true]);
    expect(stops).toBe(1);
    expect(one.lifecycle.state).toBe('stopped');
    await expect(fetch(`${url}/healthz/live`)).rejects.toThrow();
  });

  it('gives up a drain that takes longer than its limit', async () => {
    const one = await service({ stop: () => new Promise(() => undefined) });
    await one.start();
    expect(await one.close()).toBe(false);
    expect(one.lifecycle.state).toBe('stopped');
    await one.app.close();
  });

  it('can be closed while it still starts', async () => {
    let started = false;
    const one = await service({
      start: async () => {
        started = true;
      },
      configure: async () => {
        void one.close();
      },
    });
    await one.start().catch(() => undefined);
    expect([await one.close(), started, one.lifecycle.state]).toEqual([true, false, 'stopped']);
  });

  it('passes on why it could not start', async () => {
    const one = await service({ start: () => Promise.reject(new Error('no model here')) });
    await expect(one.start()).rejects.toThrow('no model here');
    expect(one.lifecycle.state).toBe('warming');
  });
});
