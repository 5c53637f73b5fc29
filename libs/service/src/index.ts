export {
  defineConfig,
  integer,
  jobSettings,
  oneOf,
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
export { Service, type ServiceConfig, type ServiceOptions } from './service.js';
