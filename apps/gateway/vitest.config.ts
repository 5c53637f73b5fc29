import { project, THREADS_READ_SOURCES } from '../../vitest.base.js';

export default project('gateway', { floor: 96, testTimeout: 60_000, execArgv: THREADS_READ_SOURCES });
