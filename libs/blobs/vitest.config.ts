import { project } from '../../vitest.base.js';

// Where there is no server of S3's protocol, its part does not run.
export default project('blobs', { floor: 60 });
