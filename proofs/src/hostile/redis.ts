import { Queue } from 'bullmq';
import { Redis } from 'ioredis';
import { KEYS, PREFIX } from '@segue/redis';
import type { Case, Target } from './case.js';

/** What whoever can write to Redis may leave there; no process may end of it, and no other job suffer. */
function redis(name: string, write: (client: Redis, target: Target) => Promise<unknown>): Case {
  return {
    name: `redis: ${name}`,
    async run(target) {
      const client = new Redis(target.system.redisUrl);
      try {
        await write(client, target);
      } finally {
        client.disconnect();
      }
      return undefined;
    },
  };
}

const DATA = [
  null,
  1,
  'text',
  [],
  {},
  { jobId: null },
  { jobId: 'x' },
  { jobId: '__proto__' },
  { jobId: ['a'] },
  { jobId: '0'.repeat(32) },
];
const QUEUES = ['segment', 'encode', 'generate', 'decode'];
const VALUES = ['', 'null', '{', '[]', '"text"', '{"__proto__":1}', '-1', 'NaN'];
const FIELDS = [
  'state',
  'request',
  'encoded',
  'generated',
  'answer',
  'error',
  'createdAtMs',
  'deadlineAtMs',
  'epoch',
  'turn',
];

/** Of the hashes that hold figures. */
const FIGURES = ['encode', 'decode', 'reached', 'after.public', 'encode.done', 'generate.busyMs', 'x'];

let made = 0;
const newId = () => `${Date.now().toString(16)}${String(made++).padStart(4, '0')}`.padStart(32, '0');

export function redisCases(): Case[] {
  const tasks = QUEUES.flatMap((queue) =>
    DATA.map((data) =>
      redis(`a task of ${queue} with ${JSON.stringify(data)}`, async (connection) => {
        const bull = new Queue(`segue.${queue}`, { connection, prefix: PREFIX });
        await bull.add('task', data, {
          jobId: `hostile-${newId()}`,
          priority: 1,
          attempts: 3,
          removeOnComplete: true,
          removeOnFail: true,
        });
      }),
    ),
  );
  const records = FIELDS.flatMap((field) =>
    VALUES.map((value) =>
      redis(`a record whose ${field} is ${JSON.stringify(value)}`, async (client, { jobId }) => {
        const id = newId();
        await client.copy(KEYS.record(jobId), KEYS.record(id));
        await client.hset(KEYS.record(id), 'state', 'running', field, value);
        await client.pexpire(KEYS.record(id), 60_000);
        // Whoever looks after jobs finds it: by its deadline, as one that was never started, and as one that has ended.
        await client.zadd(KEYS.deadlines, 1, id);
        await client.zadd(KEYS.unsent, 1, id);
        await client.rpush(KEYS.ended, id);
      }),
    ),
  );
  const lists = [KEYS.newTensors, KEYS.ended].flatMap((key) =>
    VALUES.map((value) => redis(`${key} with ${JSON.stringify(value)}`, (client) => client.rpush(key, value))),
  );
  const stages = ['encode', 'generate', 'decode'].flatMap((stage) =>
    ['{', 'null', '{"id":1}'].map((info) =>
      redis(`a worker of ${stage} that says ${info}`, async (client) => {
        const [seconds] = await client.time();
        await client.zadd(KEYS.workers(stage), Number(seconds) * 1_000, 'hostile/1');
        await client.hset(KEYS.workerInfo(stage), 'hostile/1', info);
      }),
    ),
  );
  const figures = [KEYS.pace, KEYS.turns, KEYS.work, KEYS.arrivals].flatMap((key) =>
    ['NaN', '', '-1', 'x'].map((value) =>
      redis(`${key} with ${JSON.stringify(value)}`, (client) =>
        client.hset(key, Object.fromEntries(FIGURES.map((field) => [field, value]))),
      ),
    ),
  );
  return [...tasks, ...records, ...lists, ...stages, ...figures];
}
