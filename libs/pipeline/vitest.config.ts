import { project } from '../../vitest.base.js';

export default project('pipeline', { floor: 95 });
