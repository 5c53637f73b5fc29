import { project } from '../../vitest.base.js';

export default project('core', { floor: 82 });
