import { project } from '../../vitest.base.js';

export default project('local-system', { floor: 47 });
