import { project } from '../../vitest.base.js';

export default project('blobs', { floor: 90 });
