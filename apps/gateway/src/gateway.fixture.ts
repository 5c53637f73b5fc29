import { fileURLToPath } from 'node:url';
import { SegueClient } from '@segue/client';
import { encodeMask, hostPort, maskArea, maskBox } from '@segue/core';
import type { PictureFormat } from '@segue/imaging';
import { Jobs } from '@segue/jobs';
import { openRedis, type RedisConnection } from '@segue/redis';
import { Service } from '@segue/service';
import type { StageProcessor } from '@segue/stages';
import { RedisServer } from '@segue/local-system';
import { connectOverGrpc, type GrpcClient } from '@segue/testing';
import sharp from 'sharp';
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest';
import { readConfig } from './config.js';
import { composeGateway, type Gateway } from './gateway.js';

const MODELS = fileURLToPath(new URL('../../../models', import.meta.url));

/** Stage workers written by hand: they answer at once, unless a test gives them something else to do. */
export interface FakeStages {
  encode: StageProcessor<'encode'>;
  generate: StageProcessor<'generate'>;
  decode: StageProcessor<'decode'>;
}

export const TEXT = 'It is the cup <SEG>.';
export const WIDTH = 6;
export const HEIGHT = 4;
/** The right half of the picture. */
export const MASK = encodeMask(
  Uint8Array.from({ length: WIDTH * HEIGHT }, (_, i) => (i % WIDTH >= WIDTH / 2 ? 1 : 0)),
  HEIGHT,
  WIDTH,
);

const answering: FakeStages = {
  encode: async ({ request }) => ({ key: `digest/${request.imageId}`, owner: '127.0.0.1:1', cached: false }),
  async generate({ writeText, addDecode }) {
    await writeText({ offset: 0, text: 'It is the cup ' });
    await addDecode({ index: 0, phrase: 'the cup', span: [6, 13], embedding: new Float32Array(8) });
    await writeText({ offset: 14, text: '<SEG>.' });
    return {
      text: TEXT,
      segments: 1,
      finishReason: 'stop',
      model: 'tiny-random@0.1.0',
      promptTokens: 9,
      tokens: 7,
      prefixCached: false,
    };
  },
  decode: async ({ prompt: { index, phrase, span } }) => {
    return { index, phrase, span, mask: MASK, box: maskBox(MASK), area: maskArea(MASK), score: 0.5 };
  },
};

/** A gateway that runs, and what a test needs to see of it. */
export interface RunningGateway {
  readonly url: string;
  /** Where operators ask. */
  readonly adminUrl: string;
  readonly grpcAddress: string;
  /** Over HTTP; tries nothing again. */
  readonly client: SegueClient;
  readonly grpc: GrpcClient;
  close(): Promise<void>;
}

/** One Redis, one set of fake workers and one gateway for a spec file. Redis is empty at the start of each test. */
export function useGateway() {
  const stages: FakeStages = { ...answering };
  const closers: (() => Promise<void>)[] = [];
  let redis: RedisServer;
  let connection: RedisConnection;
  let jobs: Jobs;
  let shared: RunningGateway;
  let hosts: { close(options: { readonly graceMs: number }): Promise<void> }[] = [];

  beforeAll(async () => {
    redis = await RedisServer.start();
    connection = openRedis({ url: redis.url, role: 'worker', log: SILENT });
    jobs = new Jobs(connection, { jobKeepMs: 60_000 });
    await startWorkers();
    shared = await start();
  });
  beforeEach(() => Object.assign(stages, answering));
  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    await clear();
  });
  afterAll(async () => {
    await shared.close();
    await stopWorkers();
    await jobs.close();
    connection.close();
    await redis.stop();
  });

  /** Everything but who is alive. */
  async function clear(): Promise<void> {
    const keys = (await connection.client.keys('*')).filter((key) => !/:workers:/.test(key));
    if (keys.length > 0) await connection.client.del(keys);
  }

  async function create(
    variables: Readonly<Record<string, string>>,
  ): Promise<{ readonly service: Service; readonly gateway: Gateway }> {
    const config = readConfig({
      SEGUE_HOST: '127.0.0.1',
      SEGUE_HTTP_PORT: '0',
      SEGUE_GRPC_PORT: '0',
      SEGUE_ADMIN_PORT: '0',
      SEGUE_REDIS_URL: redis.url,
      SEGUE_MODELS_DIR: MODELS,
      SEGUE_MODEL: 'tiny-random',
      SEGUE_LOG_LEVEL: 'silent',
      SEGUE_DRAIN_TIMEOUT_MS: '3000',
      ...variables,
    });
    let gateway!: Gateway;
    const service = await Service.create(
      'gateway',
      config,
      async (context) => (gateway = await composeGateway(context)),
    );
    return { service, gateway };
  }

  async function start(variables: Readonly<Record<string, string>> = {}): Promise<RunningGateway> {
    const { service, gateway } = await create(variables);
    const url = await service.start();
    const adminUrl = (await service.admin?.getUrl()) ?? '';
    const grpcAddress = hostPort(variables.SEGUE_HOST ?? '127.0.0.1', gateway.grpcPort);
    const client = new SegueClient({ baseUrl: url, retries: 0 });
    let closing: Promise<void> | undefined;
    const close = (): Promise<void> => (closing ??= service.close().then(() => undefined));
    return { url, adminUrl, grpcAddress, client, grpc: connectOverGrpc(grpcAddress), close };
  }

  async function startWorkers(): Promise<void> {
    const started = [
      jobs.stageHost({ stage: 'encode', device: 'cpu', concurrency: 4, process: (context) => stages.encode(context) }),
      jobs.stageHost({
        stage: 'generate',
        device: 'cuda:0',
        concurrency: 4,
        process: (context) => stages.generate(context),
      }),
      jobs.stageHost({ stage: 'decode', device: 'cpu', concurrency: 4, process: (context) => stages.decode(context) }),
    ];
    await Promise.all(started.map((host) => host.start()));
    hosts = started;
  }

  async function stopWorkers(): Promise<void> {
    await Promise.all(hosts.splice(0).map((host) => host.close({ graceMs: 0 })));
  }

  return {
    /** What the workers do; back to answering after each test. */
    stages,
    startWorkers,
    stopWorkers,
    get redis(): RedisServer {
      return redis;
    },
    /** What Redis holds. */
    get store() {
      return connection.client;
    },
    get gateway(): RunningGateway {
      return shared;
    },
    /** A gateway that has not started yet; the test closes it. */
    create,
    /** Another gateway, with settings of its own, until the end of the test. */
    async startAnother(variables: Readonly<Record<string, string>>): Promise<RunningGateway> {
      const another = await start(variables);
      closers.push(another.close);
      return another;
    },
    /** Keys of pictures and jobs in Redis. */
    async leftovers(): Promise<string[]> {
      return (await connection.client.keys('{segue}:*')).filter((key) =>
        /:(picture|job):|:unsent|:deadlines/.test(key),
      );
    },
  };
}

const SILENT = { info: () => undefined, warn: () => undefined, error: () => undefined };

export async function photo(format: PictureFormat = 'png', width = WIDTH, height = HEIGHT): Promise<Buffer> {
  const background = { r: 200, g: 120, b: 40 };
  return sharp({ create: { width, height, channels: 3, background } })
    .toFormat(format)
    .toBuffer();
}

/** Makes Redis hold this share of the memory that it may use. @returns what takes the limit away. */
export async function fillMemory(store: RedisConnection['client'], share: number): Promise<() => Promise<unknown>> {
  const used = Number(/used_memory:(\d+)/.exec(await store.info('memory'))?.[1]);
  await store.config('SET', 'maxmemory', String(Math.round(used / share)));
  return () => store.config('SET', 'maxmemory', '0');
}

/** Resolves when the promise's function is called: for tests that need to know that a stage has begun. */
export interface Signal {
  readonly given: Promise<void>;
  give(): void;
}

export function signal(): Signal {
  let give = (): void => undefined;
  const given = new Promise<void>((resolve) => (give = resolve));
  return { given, give };
}

/** Has a stage wait with every job of this test until `go` is given; `began` is given by the first. */
export function hold<S extends keyof FakeStages>(
  stages: FakeStages,
  stage: S,
): { readonly began: Signal; readonly go: Signal } {
  const [began, go] = [signal(), signal()];
  const process = stages[stage] as (context: unknown) => Promise<unknown>;
  const held = async (context: unknown) => {
    began.give();
    await go.given;
    return process(context);
  };
  stages[stage] = held as FakeStages[S];
  return { began, go };
}

/** A stage that holds its job until the job ends elsewhere. */
export function until(abort: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const end = (): void => reject(abort.reason as Error);
    if (abort.aborted) end();
    else abort.addEventListener('abort', end, { once: true });
  });
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}
