import { project } from '../../vitest.base.js';

export default project('gateway', { testTimeout: 60_000 });
