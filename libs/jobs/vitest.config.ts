import { project } from '../../vitest.base.js';

export default project('jobs', {
  floor: 94,
  onCluster: ['event-log', 'fair-share', 'flow', 'job-store', 'job-sweeper', 'recovery', 'update'].map(
    (spec) => `src/${spec}.spec.ts`,
  ),
});
