import { project } from '../../vitest.base.js';

export default project('tensors', { floor: 82 });
