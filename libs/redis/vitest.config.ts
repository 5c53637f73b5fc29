import { project } from '../../vitest.base.js';

export default project('redis', { floor: 25 });
