import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { APPS, type AppName } from '@segue/local-system';
import { KEYS } from '@segue/redis';
import type { Asker, SeenEvent } from './askers.js';
import { pick, type Random } from './plan.js';
import type { Rig } from './rig.js';
import type { TcpProxy } from './tcp-proxy.js';

export interface Scene {
  readonly rig: Rig;
  readonly random: Random;
  /** Someone who asks over the first gateway. */
  readonly asker: Asker;
  /** A picture to ask about. */
  readonly image: Uint8Array;
}

/** Goes wrong, stays so for a while, and is mended; resolves then. */
type Fault = (scene: Scene) => Promise<void>;

/** A worker that is silent for longer has lost its tasks to others. */
const PAST_LOCK_MS = 9_000;
const WHILE_MS = 4_000;

const kill =
  (...kinds: readonly AppName[]): Fault =>
  async ({ rig, random }) => {
    const victims =
      kinds.length === 1 ? [pick(rig.apps(kinds[0] as AppName), random)] : kinds.flatMap((kind) => rig.apps(kind));
    await Promise.all(victims.map((app) => app.kill()));
  };

const terminate =
  (kind: AppName): Fault =>
  async ({ rig, random }) => {
    const app = pick(rig.apps(kind), random);
    const status = await app.stop();
    if (status !== 0) throw new Error(`${app.name}, told to stop, ${app.ended}:\n${app.output}`);
  };

const freeze =
  (kind: AppName): Fault =>
  async ({ rig, random }) => {
    const app = pick(rig.apps(kind), random);
    app.pause();
    await sleep(PAST_LOCK_MS);
    app.resume();
  };

/** Runs a command on Redis itself, beside the proxies. */
async function tell(rig: Rig, ...commands: readonly (readonly [string, ...string[]])[]): Promise<void> {
  const redis = new Redis(rig.redis.url);
  try {
    for (const [command, ...args] of commands) await redis.call(command, ...args);
  } finally {
    redis.disconnect();
  }
}

const redisSetting =
  (name: string, wrong: string, right: string): Fault =>
  async ({ rig }) => {
    await tell(rig, ['CONFIG', 'SET', name, wrong]);
    await sleep(WHILE_MS);
    await tell(rig, ['CONFIG', 'SET', name, right]);
  };

const network =
  (
    linksOf: (rig: Rig, random: Random) => readonly TcpProxy[],
    spoil: (link: TcpProxy) => void,
    forMs = WHILE_MS,
  ): Fault =>
  async ({ rig, random }) => {
    const links = linksOf(rig, random);
    links.forEach(spoil);
    await sleep(forMs);
    for (const link of links) link.mend();
  };
const redisLink = (rig: Rig, random: Random) => [pick([...rig.redisLinks.values()], random)];
const tensorLinks = (rig: Rig) => rig.tensorLinks;
const clientLinks = (rig: Rig) => Object.values(rig.clientLinks).flat();
const cut = (link: TcpProxy) => link.cut();
const silence = (link: TcpProxy) => link.silence();
const slow = (link: TcpProxy) => void (link.latencyMs = 100);

const STORM = 60;
const STORM_TIMEOUT_MS = 1_500;
/** How late a deadline may be kept. */
const LATE_MS = 1_000;

/** Many jobs pass their deadlines at the same time, none of which can be answered before. */
const deadlineStorm: Fault = async ({ rig, asker, image }) => {
  const decoders = rig.apps('decoder-worker');
  for (const app of decoders) app.pause();
  try {
    const question = { image, instruction: 'Where is it?', timeoutMs: STORM_TIMEOUT_MS };
    const submitted = await Promise.allSettled(Array.from({ length: STORM }, () => asker.submit(question)));
    const lateMs = await Promise.all(
      submitted.map(async (job) => {
        // Admission refuses those that it knows will not be done in time.
        if (job.status === 'rejected') return 0;
        let last: SeenEvent | undefined;
        for await (const event of asker.watch(job.value)) last = event;
        const { deadlineAtMs } = await asker.get(job.value);
        return (last?.atMs ?? Infinity) - deadlineAtMs;
      }),
    );
    if (Math.max(...lateMs) > LATE_MS) throw new Error(`a job ended ${Math.max(...lateMs)} ms after its deadline`);
  } finally {
    for (const app of decoders) app.resume();
  }
};

/** A request that ends its worker, or holds it up for ever, must become a dead letter. */
const sabotage =
  (instruction: string): Fault =>
  async ({ rig, asker, image }) => {
    const jobId = await asker.submit({ image, instruction, timeoutMs: 300_000 });
    for (;;) {
      const { state, error } = await asker.get(jobId);
      if (state === 'failed' && error?.code === 'INTERNAL') break;
      if (state !== 'queued' && state !== 'running')
        throw new Error(`“${instruction}” ended as ${state} (${error?.code})`);
      await sleep(200);
      rig.check();
    }
    const redis = new Redis(rig.redis.url);
    try {
      const letters = await redis.lrange(KEYS.deadLetters, 0, -1);
      const ours = letters.filter((letter) => letter.includes(jobId));
      if (ours.length === 0) throw new Error(`“${instruction}” failed and left no dead letter`);
      const { deaths, diedIn } = JSON.parse(ours[0] ?? '') as { readonly deaths: number; readonly diedIn: string[] };
      if (diedIn.length !== deaths) throw new Error(`“${instruction}” ended ${deaths} workers, not ${diedIn.join()}`);
      for (const letter of ours) await redis.lrem(KEYS.deadLetters, 0, letter);
    } finally {
      redis.disconnect();
    }
  };

export const FAULTS = {
  none: () => sleep(500),
  'kill a gateway': kill('gateway'),
  'kill an encoder-worker': kill('encoder-worker'),
  'kill an llm-worker': kill('llm-worker'),
  'kill a decoder-worker': kill('decoder-worker'),
  'kill all workers': kill('encoder-worker', 'llm-worker', 'decoder-worker'),
  'kill everything but Redis': kill(...APPS),
  'SIGTERM to a gateway': terminate('gateway'),
  'SIGTERM to an encoder-worker': terminate('encoder-worker'),
  'SIGTERM to an llm-worker': terminate('llm-worker'),
  'SIGTERM to a decoder-worker': terminate('decoder-worker'),
  'freeze a gateway': freeze('gateway'),
  'freeze an encoder-worker': freeze('encoder-worker'),
  'freeze an llm-worker': freeze('llm-worker'),
  'freeze a decoder-worker': freeze('decoder-worker'),
  'Redis is killed': ({ rig }) => rig.redis.restart(),
  'Redis is down': ({ rig }) => rig.redis.restart(WHILE_MS),
  'Redis is frozen': async ({ rig }) => {
    rig.redis.program.pause();
    await sleep(PAST_LOCK_MS);
    rig.redis.program.resume();
  },
  'Redis is slow': async ({ rig }) => {
    for (let times = 0; times < 4; times++) {
      await tell(rig, ['CLIENT', 'PAUSE', '800', 'ALL']);
      await sleep(1_000);
    }
  },
  'Redis is full': redisSetting('maxmemory', '1mb', '0'),
  'the disk of Redis is full': async ({ rig }) => {
    await rig.redis.fillDisk();
    await sleep(WHILE_MS);
    await rig.redis.freeDisk();
  },
  'Redis has no replica': redisSetting('min-replicas-to-write', '1', '0'),
  'Redis is a replica': async ({ rig }) => {
    // Of nobody: it keeps its data, and refuses writes as after a failover.
    await tell(rig, ['CONFIG', 'SET', 'replica-serve-stale-data', 'yes'], ['REPLICAOF', '127.0.0.1', '1']);
    await sleep(WHILE_MS);
    await tell(rig, ['REPLICAOF', 'NO', 'ONE']);
  },
  'network to Redis is cut': network(redisLink, cut),
  'network to Redis is silent': network(redisLink, silence, PAST_LOCK_MS),
  'network to Redis is slow': network(redisLink, slow),
  'network of tensors is cut': network(tensorLinks, cut),
  'network of tensors is silent': network(tensorLinks, silence),
  'network of clients is cut': network(clientLinks, cut),
  'network of clients is slow': network(clientLinks, slow),
  'deadline storm': deadlineStorm,
  'a request that crashes workers': sabotage('crash the worker'),
  'a request that hangs workers': sabotage('hang the worker'),
} as const satisfies Readonly<Record<string, Fault>>;

export type FaultName = keyof typeof FAULTS;
