export { startRedis, type StartRedisOptions, type TestRedis } from './redis.js';
