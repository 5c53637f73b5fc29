import { project } from '../../vitest.base.js';

export default project('testing', { floor: 10 });
