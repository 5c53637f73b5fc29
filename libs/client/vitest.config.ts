import { project } from '../../vitest.base.js';

export default project('client', { floor: 95 });
