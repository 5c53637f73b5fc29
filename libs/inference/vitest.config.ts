import { project } from '../../vitest.base.js';

export default project('inference', { floor: 97 });
