import { project } from '../vitest.base.js';

// Whole systems start before the first test of a file.
export default project('proofs', { testTimeout: 180_000, hookTimeout: 180_000 });
