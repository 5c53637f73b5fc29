export {
  defineConfig,
  flag,
  host,
  integer,
  jobSettings,
  list,
  oneOf,
  pictureLimits,
  pictureSettings,
  port,
  positive,
  redisOf,
  serviceSettings,
  someOf,
  text,
  textLike,
  url,
  variableName,
} from './config.js';
export { type Logger } from './logging.js';
export { Counter, Gauge, Histogram, Registry, SECONDS_BUCKETS } from './metrics.js';
export { runService, type App } from './run-service.js';
export { waitFor } from './wait-for.js';
export { DRAIN_SHARE, Service, type ServiceConfig, type ServiceContext, type ServiceOptions } from './service.js';
