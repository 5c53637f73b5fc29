import { project, THREADS_READ_SOURCES } from '../../vitest.base.js';

export default project('imaging', { floor: 95, execArgv: THREADS_READ_SOURCES });
