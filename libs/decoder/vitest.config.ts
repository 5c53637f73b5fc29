import { project } from '../../vitest.base.js';

export default project('decoder', { floor: 74 });
