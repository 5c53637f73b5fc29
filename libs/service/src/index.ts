export {
  defineConfig,
  integer,
  jobSettings,
  oneOf,
  pictureLimits,
  pictureSettings,
  port,
  serviceSettings,
  text,
  url,
  variableName,
  type ConfigReader,
} from './config.js';
export { Lifecycle, type WorkerState } from './lifecycle.js';
export { createLogger, LOGGER, type Logger } from './logging.js';
export { Counter, Gauge, Histogram, Registry, SECONDS_BUCKETS } from './metrics.js';
export { runService } from './run-service.js';
export { CONFIG } from './service.module.js';
export { DRAIN_SHARE, Service, type ServiceConfig, type ServiceOptions } from './service.js';
