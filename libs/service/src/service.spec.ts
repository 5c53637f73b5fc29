import { once } from 'node:events';
import { connect } from 'node:net';
import { Controller, Get, Module } from '@nestjs/common';
import { afterEach, describe, expect, it } from 'vitest';
import { defineConfig, serviceSettings } from './config.js';
import { Service, type Compose, type ServiceConfig, type ServiceContext, type ServiceOptions } from './service.js';

const config = defineConfig(serviceSettings({ httpPort: 0 }))({
  SEGUE_LOG_LEVEL: 'silent',
  SEGUE_HOST: '127.0.0.1',
  SEGUE_DRAIN_TIMEOUT_MS: '200',
});

const running: Service[] = [];
async function compose(composition: Compose<ServiceConfig>): Promise<Service> {
  const created = await Service.create('test', config, composition);
  running.push(created);
  return created;
}

const service = (hooks: Partial<ServiceOptions> = {}): Promise<Service> =>
  compose(() => ({ start: async () => undefined, stop: async () => undefined, ...hooks }));

afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.close()));
});

describe('Service', () => {
  it('is live but not ready while it warms up', async () => {
    let warm = (): void => undefined;
    const warmed = new Promise<void>((resolve) => (warm = resolve));
    let url = '';
    const one: Service = await service({
      start: async () => {
        url = await one.app.getUrl();
        await warmed;
      },
    });
    const ready = one.start();
    await expect.poll(() => url).not.toBe('');
    expect((await fetch(`${url}/healthz/live`)).status).toBe(200);
    const early = await fetch(`${url}/healthz/ready`);
    expect([early.status, await early.json()]).toEqual([503, { state: 'warming' }]);
    one.lifecycle.waitsFor = 'There is no store. Start it.';
    const waiting: unknown = await (await fetch(`${url}/healthz/ready`)).json();
    expect(waiting).toEqual({ state: 'warming', waitsFor: 'There is no store. Start it.' });
    warm();
    await ready;
    expect((await fetch(`${url}/healthz/ready`)).status).toBe(200);
  });

  it('composes the app from its configuration and serves its controllers beside metrics', async () => {
    let given: ServiceContext | undefined;
    const one = await compose(async (context) => {
      given = context;
      return {
        module: { module: WordsModule, providers: [{ provide: Words, useValue: new Words('hello') }] },
        start: async () => undefined,
        stop: async () => undefined,
      };
    });
    expect(given).toMatchObject({ config, logger: one.logger, lifecycle: one.lifecycle });
    const url = await one.start();
    expect(await (await fetch(`${url}/words`)).text()).toBe('hello');
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('nodejs_eventloop_lag_seconds');
    expect(metrics).toContain('segue_service_state{state="ready",app="test"} 1');
  });

  it('drains once, and then serves nothing', async () => {
    let stops = 0;
    const one = await service({
      stop: async (graceMs) => {
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

  it('lets go of what requests need only when the last one has been answered', async () => {
    const answer = signal();
    const asked = signal();
    let closed = false;
    const one = await service({
      configure: (app) => {
        app
          .getHttpAdapter()
          .getInstance()
          .get('/slow', async () => {
            asked.give();
            await answer.given;
            return { closed };
          });
      },
      closed: async () => {
        closed = true;
      },
    });
    const url = await one.start();
    const response = fetch(`${url}/slow`);
    await asked.given;
    const end = one.close();
    answer.give();
    expect(await (await response).json()).toEqual({ closed: false });
    expect([await end, closed]).toEqual([true, true]);
  });

  it('does not wait for connections that were opened in advance', async () => {
    const patient = { ...config, drainTimeoutMs: 60_000 };
    const one = await Service.create('test', patient, () => ({
      start: async () => undefined,
      stop: async () => undefined,
    }));
    const { port } = new URL(await one.start());
    const opened = connect(Number(port), '127.0.0.1');
    await once(opened, 'connect');
    const cut = once(opened, 'close');
    expect(await one.close()).toBe(true);
    await cut;
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

class Words {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

@Controller('words')
class WordsController {
  readonly #words: Words;

  constructor(words: Words) {
    this.#words = words;
  }

  @Get()
  read(): string {
    return this.#words.text;
  }
}

@Module({ controllers: [WordsController] })
class WordsModule {}

function signal(): { readonly given: Promise<void>; give(): void } {
  let give = (): void => undefined;
  const given = new Promise<void>((resolve) => (give = resolve));
  return { given, give };
}
