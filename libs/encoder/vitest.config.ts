import { project } from '../../vitest.base.js';

export default project('encoder', { floor: 64 });
