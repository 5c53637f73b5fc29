export { APPS, LocalSystem, type AppName, type LocalSystemOptions } from './local-system.js';
export { LocalApp } from './local-app.js';
export { missingModules } from './missing-modules.js';
export { Program } from './program.js';
export { findProgram } from './find-program.js';
export { RedisCluster } from './redis-cluster.js';
export { findRedis, RedisServer, type RedisServerOptions } from './redis-server.js';
export { S3Server } from './s3-server.js';
export { default as freePort } from 'get-port';
