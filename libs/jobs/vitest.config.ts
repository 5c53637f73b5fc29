import { project } from '../../vitest.base.js';

export default project('jobs', { floor: 94 });
