import { project } from '../../vitest.base.js';

// Outside `npm test`: it builds images and starts a cluster. See docs/guides/kubernetes.md.
export default project('cluster', {
  include: ['*.spec.ts'],
  testTimeout: 600_000,
  hookTimeout: 3_600_000,
  fileParallelism: false,
});
