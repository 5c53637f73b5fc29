import { project } from '../../vitest.base.js';

export default project('cli', { floor: 25 });
