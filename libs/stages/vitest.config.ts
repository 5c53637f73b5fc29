import { project } from '../../vitest.base.js';

export default project('stages', { floor: 98 });
