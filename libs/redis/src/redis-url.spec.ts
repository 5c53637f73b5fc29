import { expect, it } from 'vitest';
import { clusterOf, isRedisUrl } from './redis-url.js';

it.each(['redis://127.0.0.1:6379', 'rediss://user:secret@redis/2', 'redis://mymaster'])('%s is of one Redis', (url) => {
  expect(isRedisUrl(url)).toBe(true);
  expect(clusterOf(url)).toBeUndefined();
});

it('reads the nodes of a cluster, and one login for all of them', () => {
  const url = 'rediss+cluster://segue:p%40ss%2Cword@10.0.0.1:7000,redis-1.redis, [fd00::2]:7002/';
  expect(isRedisUrl(url)).toBe(true);
  expect(clusterOf(url)).toEqual({
    nodes: [
      { host: '10.0.0.1', port: 7000 },
      { host: 'redis-1.redis', port: 6379 },
      { host: 'fd00::2', port: 7002 },
    ],
    username: 'segue',
    password: 'p@ss,word',
  });
  expect(clusterOf('redis+cluster://:secret@redis')).toMatchObject({ username: undefined, password: 'secret' });
});

it.each([
  'http://redis',
  'redis',
  'redis+cluster://',
  'redis+cluster://a,,b',
  'redis+cluster://a:port',
  'redis+cluster://a:7000,b:7001/2',
  'redis+cluster://one:x@a,two:y@b',
  'redis+cluster://per%ent@a',
])('%s is refused', (url) => {
  expect(isRedisUrl(url)).toBe(false);
});

it('says how the URL of a cluster is written', () => {
  expect(() => clusterOf('redis+cluster://a:7000,b:7001/2')).toThrow(
    'redis+cluster://user:password@host:port,host:port, without the number of a database',
  );
});
