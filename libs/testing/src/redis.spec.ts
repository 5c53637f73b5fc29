import { Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { everywhere, masterOf, startRedis } from './redis.js';

it('gives a Redis that is master of every key, and everywhere', async () => {
  const server = await startRedis();
  const redis = new Redis(server.url);
  try {
    expect(await masterOf(redis, 'any')).toBe(redis);
    expect(await everywhere(redis, (node) => node.ping())).toEqual(['PONG']);
  } finally {
    redis.disconnect();
    await server.stop();
  }
});
