export { JobScripts, type Reading } from './job-scripts.js';
export { KEYS, PREFIX } from './keys.js';
export { LoadScripts, type Demand, type Work } from './load-scripts.js';
export { defineScript } from './lua.js';
export type { Log } from './log.js';
export { openRedis, type RedisConnection, type RedisRole } from './open-redis.js';
export { TensorScripts } from './tensor-scripts.js';
