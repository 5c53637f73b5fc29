import type { Redis } from 'ioredis';

import { EventLog } from './event-log.js';
import { JobProducer } from './job-producer.js';
import { JobSignals } from './job-signals.js';
import { JobStore } from './job-store.js';
import type { JobsLog } from './log.js';
import { PictureStore } from './picture-store.js';
import { askRedis, connectRedis, type RedisRole } from './redis.js';
import { withScripts, type ScriptedRedis } from './scripts.js';

export interface JobsOptions {
  /** `redis://host:port` */
  readonly url: string;
  /** `producer` for whoever answers requests, `worker` for whoever works on a queue. */
  readonly role: RedisRole;
  /** How long an ended job is kept. */
  readonly jobKeepMs: number;
  /** How long a picture is kept after its last use. */
  readonly pictureKeepMs: number;
  readonly log: JobsLog;
}

/** Everything that Segue keeps in Redis, over two connections. */
export interface Jobs {
  readonly redis: Redis;
  readonly store: JobStore;
  readonly events: EventLog;
  readonly signals: JobSignals;
  readonly pictures: PictureStore;
  readonly producer: JobProducer;
  readonly log: JobsLog;
  /** Hears of every error of a connection, a queue or a worker. A Redis that is away is told of once, not at every attempt. */
  readonly onError: (error: Error) => void;
  /** Whether Redis answers; for readiness, never for liveness. */
  ping(): Promise<boolean>;
  close(): Promise<void>;
}

/** Opens the connections. Returns at once: Redis may come later. */
export function openJobs(options: JobsOptions): Jobs {
  const { log } = options;
  let away = false;
  const onError = (error: Error): void => {
    if (redis.status === 'ready') log.warn({ err: error }, 'redis connection');
    else if (!away) log.warn({ err: error }, 'Redis is away; trying again until it is back');
    away ||= redis.status !== 'ready';
  };
  const redis: ScriptedRedis = withScripts(connectRedis(options.url, options.role, (error) => onError(error)));
  redis.on('ready', () => {
    if (away) log.info({}, 'Redis is back');
    away = false;
  });
  const subscriber = connectRedis(options.url, options.role, onError);
  const store = new JobStore(redis, { keepMs: options.jobKeepMs });
  const signals = new JobSignals(subscriber);
  const producer = new JobProducer(redis, store, onError);
  return {
    redis,
    store,
    signals,
    events: new EventLog(redis, signals),
    pictures: new PictureStore(redis, { keepMs: options.pictureKeepMs }),
    producer,
    log,
    onError,
    ping: () =>
      redis.status === 'ready'
        ? askRedis(() => redis.ping()).then(
            () => true,
            () => false,
          )
        : Promise.resolve(false),
    async close() {
      await producer.close();
      redis.disconnect();
      subscriber.disconnect();
    },
  };
}
