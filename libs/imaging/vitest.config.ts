import { project, THREADS_READ_SOURCES } from '../../vitest.base.js';

export default project('imaging', { execArgv: THREADS_READ_SOURCES });
