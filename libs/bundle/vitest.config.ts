import { project } from '../../vitest.base.js';

export default project('bundle', { floor: 96 });
