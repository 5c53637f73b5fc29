import { project } from '../../vitest.base.js';

export default project('tensor-exchange', { floor: 93, onCluster: ['src/tensor-directory.spec.ts'] });
