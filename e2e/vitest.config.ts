import { project } from '../vitest.base.js';

// Four processes start before the first test of a file: generous limits keep a busy machine from failing them.
export default project('e2e', { testTimeout: 60_000, hookTimeout: 180_000 });
