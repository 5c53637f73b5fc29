import { project } from '../../vitest.base.js';

export default project('service', { floor: 70 });
